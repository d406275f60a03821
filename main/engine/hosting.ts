import { HomewardError } from '../../shared/errors.ts';
import type { HostSettings, Status } from '../../shared/rpc.ts';
import { type Announcement, Announcer } from '../discovery/index.ts';
import { HostRole, type MachineBenchmark } from '../host/index.ts';
import type { Libvirt } from '../libvirt/index.ts';
import { LinkServer } from '../link/index.ts';
import type { Identity, PairingDesk, PeerStore } from '../trust/index.ts';
import { ownAddresses } from './own-addresses.ts';
import type { SettingsStore } from './settings.ts';

export interface HostingOptions {
  readonly identity: Identity;
  readonly peers: PeerStore;
  readonly desk: PairingDesk;
  readonly libvirt: Libvirt;
  readonly settings: SettingsStore;
  /** Short: sockets lie below it. */
  readonly folder: string;
  /** Outlives a reboot. */
  readonly bookFile: string;
  readonly version: string;
  readonly benchmark: Pick<MachineBenchmark, 'read'>;
  /** `homeward host`: on for as long as this engine runs, whatever the settings say, until somebody turns it off. */
  readonly forced: boolean;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** A sentence for this computer's owner about a visitor. */
  readonly onNews: (sentence: string) => void;
}

interface Open {
  readonly role: HostRole;
  readonly server: LinkServer;
  readonly announcer: Announcer;
  readonly stopHearingOfRevocations: () => void;
}

/** "Let my other computers offload here": the role, its port and its announcement, on or off together. */
export class Hosting {
  readonly #options: HostingOptions;
  #open: Open | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  #isForced: boolean;

  constructor(options: HostingOptions) {
    this.#options = options;
    this.#isForced = options.forced;
  }

  /** Brings the role in line with the settings. @throws HomewardError where it cannot be turned on */
  sync(): Promise<void> {
    const change = this.#changing.then(() => (this.#wanted() ? this.#turnOn() : this.#turnOff()));
    this.#changing = change.catch(() => undefined);
    return change;
  }

  /** This computer is called something else now: what is announced has to say so. */
  renamed(): Promise<void> {
    const change = this.#changing.then(async () => {
      const open = this.#open;
      await open?.announcer.start(this.#announcement(open.server.port));
    });
    // The name holds all the same, and is announced at the latest with the next change of network.
    const told = change.catch((thrown: unknown) => this.#options.onFault('mDNS', thrown));
    this.#changing = told;
    return told;
  }

  /** Asks the laptop of a visitor to bring it home. @throws HomewardError as `HostRole.sendHome` */
  sendHome(visit: string): void {
    if (this.#open === undefined) {
      throw new HomewardError('refused', 'This computer takes no visitors.', { hint: 'See: homeward host status' });
    }
    this.#open.role.sendHome(visit);
  }

  /** The engine goes; visitors stay. */
  async stop(): Promise<void> {
    await this.#changing;
    await this.#turnOff();
  }

  status(): Status['host'] {
    const port = this.#open?.server.port;
    const past = this.#open?.role.past() ?? [];
    return {
      enabled: this.#open !== undefined,
      ...(port === undefined ? {} : { port, addresses: ownAddresses(port) }),
      visitors: this.#open?.role.visits() ?? [],
      ...(past.length === 0 ? {} : { past }),
    };
  }

  get settings(): HostSettings {
    const { host } = this.#options.settings.current;
    return this.#isForced ? { ...host, enabled: true } : host;
  }

  /** @throws HomewardError `bad-input` for limits that make no sense, `refused` for turning off with visitors there */
  async configure(change: { readonly [K in keyof HostSettings]?: HostSettings[K] | undefined }): Promise<HostSettings> {
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const visitors = this.#open?.role.visits().length ?? 0;
    if (change.enabled === false && visitors > 0) {
      throw new HomewardError(
        'refused',
        `${visitors === 1 ? 'A VM is' : `${visitors} VMs are`} visiting this computer.`,
        {
          hint: 'Let their owners bring them home first; then turn the host role off.',
        },
      );
    }
    await this.#options.settings.update((settings) => ({ ...settings, host: { ...settings.host, ...given } }));
    if (change.enabled === false) this.#isForced = false;
    if (change.port !== undefined) await this.#turnOff();
    await this.sync();
    return this.settings;
  }

  #wanted(): boolean {
    return this.settings.enabled;
  }

  async #turnOn(): Promise<void> {
    if (this.#open !== undefined) return;
    const {
      identity,
      peers,
      desk,
      libvirt,
      settings,
      folder,
      bookFile,
      version,
      benchmark,
      onChange,
      onFault,
      onNews,
    } = this.#options;
    const role = new HostRole({
      folder,
      bookFile,
      settings: () => this.settings,
      libvirt,
      version,
      benchmark,
      name: () => settings.current.name,
      onFault: (thrown) => onFault('host role', thrown),
      onNews,
    });
    role.onChange(onChange);
    await role.start();
    const announcer = new Announcer({ onFault: (thrown) => onFault('mDNS', thrown) });
    let server: LinkServer | undefined;
    try {
      server = await LinkServer.listen({
        port: settings.current.host.port,
        identity,
        peers,
        handlers: (peer) => role.handlersFor(peer),
        openLocal: (peer, hello) => role.openLocal(peer.fingerprint, hello),
        onPairing: (connection, fingerprint, address) => desk.receive(connection, fingerprint, address),
        onFault: (thrown) => onFault('link', thrown),
      });
      await announcer.start(this.#announcement(server.port));
    } catch (thrown) {
      await server?.close();
      await role.stop();
      throw thrown;
    }
    const stopHearingOfRevocations = peers.onRevoked((fingerprint) => {
      role
        .endVisitsOf(fingerprint)
        .catch((thrown: unknown) => onFault('ending the visits of a revoked computer', thrown));
    });
    this.#open = { role, server, announcer, stopHearingOfRevocations };
    onChange();
  }

  #announcement(port: number): Announcement {
    const { identity, settings } = this.#options;
    return { fingerprint: identity.fingerprint, name: settings.current.name, port };
  }

  async #turnOff(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    open.stopHearingOfRevocations();
    await open.announcer.stop();
    await open.server.close();
    await open.role.stop();
    this.#options.onChange();
  }
}
