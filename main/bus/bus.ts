import { existsSync } from 'node:fs';
import type { Message, MessageBus } from 'dbus-native';

/** As much of a D-Bus signal as we look at. */
export interface BusSignal {
  readonly sender: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body: readonly unknown[];
}

const callTimeoutMs = 5_000;
/** `messageType.signal`; the library is loaded by whoever connects, not by whoever might. */
const signalType = 4;

/** One connection to a message bus: calls by name, and signals. */
export class Bus {
  readonly bus: MessageBus;
  /** Resolves when the bus has gone: the session is ending, or the bus daemon crashed. */
  readonly closed: Promise<void>;

  private constructor(bus: MessageBus) {
    this.bus = bus;
    this.closed = new Promise((resolve) => bus.connection.on('close', () => resolve()));
    // What is wrong with the connection ends it, which `closed` tells.
    bus.connection.on('error', () => undefined);
  }

  /** The user's session bus. Undefined where there is none, as on a machine one has logged in to over the network. */
  static session(): Promise<Bus | undefined> {
    return Bus.#connect(sessionAddress(process.env));
  }

  /** The machine's bus. Undefined where there is none, as in a container. */
  static system(): Promise<Bus | undefined> {
    return Bus.#connect(systemAddress(process.env));
  }

  static async #connect(busAddress: string | undefined): Promise<Bus | undefined> {
    if (busAddress === undefined) return undefined;
    // 12 MB: an engine with no VM away has no use for it.
    const { createClient } = await import('dbus-native');
    const connected = new Bus(createClient({ busAddress, timeout: callTimeoutMs }));
    try {
      // Any answer will do: now it is known that somebody is there.
      await Promise.race([
        connected.bus.getId(),
        connected.closed.then(() => Promise.reject(new Error('The bus ended the connection.'))),
      ]);
      return connected;
    } catch {
      await connected.close();
      return undefined;
    }
  }

  /** Calls a method; several results come as an array. */
  async call(
    destination: string,
    path: string,
    iface: string,
    member: string,
    signature = '',
    body: unknown[] = [],
  ): Promise<unknown> {
    const message: Message = { destination, path, interface: iface, member };
    if (signature !== '') Object.assign(message, { signature, body });
    return this.bus.invoke(message);
  }

  /** All properties of an object's interface; whoever asks checks their types. */
  async properties(destination: string, path: string, iface: string): Promise<unknown> {
    return this.call(destination, path, 'org.freedesktop.DBus.Properties', 'GetAll', 's', [iface]);
  }

  /** One of them. */
  async property(destination: string, path: string, iface: string, name: string): Promise<unknown> {
    return this.call(destination, path, 'org.freedesktop.DBus.Properties', 'Get', 'ss', [iface, name]);
  }

  /** Hears every signal that `rule` lets through and `listener` cares for. */
  async onSignal(rule: string, listener: (signal: BusSignal) => void): Promise<void> {
    this.bus.connection.on('message', (message: Message) => {
      const { type, sender, path, interface: iface, member, body } = message;
      if (type !== signalType || sender === undefined || path === undefined) return;
      if (iface === undefined || member === undefined) return;
      listener({ sender, path, interface: iface, member, body: body ?? [] });
    });
    await this.bus.addMatch(rule);
  }

  /**
   * Follows who owns a well-known name, the owner of now included. Undefined: nobody.
   */
  async watchOwner(name: string, listener: (owner: string | undefined) => void): Promise<void> {
    await this.onSignal(
      `type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='${name}'`,
      ({ sender, member, body: [changed, , owner] }) => {
        if (sender !== 'org.freedesktop.DBus' || member !== 'NameOwnerChanged' || changed !== name) return;
        listener(typeof owner === 'string' && owner !== '' ? owner : undefined);
      },
    );
    const owner = await this.bus.getNameOwner(name).catch(() => undefined);
    listener(owner);
  }

  async close(): Promise<void> {
    await this.bus.close();
  }
}

/** The variable, or the place where systemd puts the bus (sd_bus_open_user(3)). */
function sessionAddress(env: NodeJS.ProcessEnv): string | undefined {
  const given = env['DBUS_SESSION_BUS_ADDRESS'];
  if (given !== undefined && given !== '') return given;
  return ifThere(`${env['XDG_RUNTIME_DIR'] ?? ''}/bus`);
}

/** As sd_bus_open_system(3) finds it. */
function systemAddress(env: NodeJS.ProcessEnv): string | undefined {
  const given = env['DBUS_SYSTEM_BUS_ADDRESS'];
  if (given !== undefined && given !== '') return given;
  return ifThere('/run/dbus/system_bus_socket') ?? ifThere('/var/run/dbus/system_bus_socket');
}

function ifThere(socket: string): string | undefined {
  return existsSync(socket) ? `unix:path=${socket}` : undefined;
}
