import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, defineInterface, type Message, type MessageBus, messageType } from 'dbus-native';
import { onTestFinished, vi } from 'vitest';

/** A message bus of the test's own, found by the code under test as the session's. */
export async function privateBus(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hw-bus-'));
  const child: ChildProcess = spawn(
    'dbus-daemon',
    ['--session', '--nofork', '--nopidfile', '--print-address=1', `--address=unix:path=${folder}/bus`],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  onTestFinished(async () => {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  });
  if (child.stdout === null) throw new Error('No output.');
  const [address] = (await once(child.stdout, 'data')) as [Buffer];
  const busAddress = address.toString().trim();
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', busAddress);
  onTestFinished(() => void vi.unstubAllEnvs());
  return busAddress;
}

/** Somebody else on the bus. */
export function client(busAddress: string): MessageBus {
  const bus = createClient({ busAddress });
  bus.connection.on('error', () => undefined);
  onTestFinished(() => bus.close());
  return bus;
}

export interface ShownEntry {
  readonly id: number;
  readonly label: string | undefined;
  readonly enabled: boolean;
  readonly checked: boolean | undefined;
  readonly separator: boolean;
  readonly entries: readonly ShownEntry[];
}

/** A panel: the watcher that icons register with, and a host that shows them. */
export class Panel {
  readonly bus: MessageBus;
  readonly items: string[] = [];
  /** Signals of items and their menus, by name, in order. */
  readonly signals: { readonly member: string; readonly body: readonly unknown[] }[] = [];

  private constructor(bus: MessageBus) {
    this.bus = bus;
  }

  static async start(busAddress: string): Promise<Panel> {
    const panel = new Panel(client(busAddress));
    const definition = defineInterface({
      name: 'org.kde.StatusNotifierWatcher',
      methods: {
        RegisterStatusNotifierItem: {
          in: { service: 's' },
          handler: ({ service }: { service: string }) => {
            panel.items.push(service);
          },
        },
        RegisterStatusNotifierHost: { in: { service: 's' }, handler: () => undefined },
      },
      properties: {
        RegisteredStatusNotifierItems: { type: 'as', access: 'read', get: () => panel.items },
        IsStatusNotifierHostRegistered: { type: 'b', access: 'read', value: true },
        ProtocolVersion: { type: 'i', access: 'read', value: 0 },
      },
    });
    await panel.bus.export('/StatusNotifierWatcher', definition);
    panel.bus.connection.on('message', ({ type, member, body }: Message) => {
      if (type === messageType.signal && member !== undefined) panel.signals.push({ member, body: body ?? [] });
    });
    await panel.bus.addMatch("type='signal',interface='org.kde.StatusNotifierItem'");
    await panel.bus.addMatch("type='signal',interface='com.canonical.dbusmenu'");
    await panel.bus.requestName('org.kde.StatusNotifierWatcher', 4);
    return panel;
  }

  /** Beside a real panel, which keeps the list of icons. */
  static async beside(busAddress: string): Promise<Panel> {
    const panel = new Panel(client(busAddress));
    const registered = await panel.bus.invoke({
      destination: 'org.kde.StatusNotifierWatcher',
      path: '/StatusNotifierWatcher',
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: ['org.kde.StatusNotifierWatcher', 'RegisteredStatusNotifierItems'],
    });
    // Each is a bus name and, in some panels, the icon's path behind it.
    for (const item of registered as readonly string[]) panel.items.push(item.split('/')[0] ?? item);
    return panel;
  }

  /** The panel crashes, or is restarted. */
  async stop(): Promise<void> {
    await this.bus.close();
  }

  get item(): string {
    const [item] = this.items;
    if (item === undefined) throw new Error('No icon has registered.');
    return item;
  }

  async property(name: string): Promise<unknown> {
    return this.bus.invoke({
      destination: this.item,
      path: '/StatusNotifierItem',
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: ['org.kde.StatusNotifierItem', name],
    });
  }

  async activate(): Promise<void> {
    await this.bus.invoke({
      destination: this.item,
      path: '/StatusNotifierItem',
      interface: 'org.kde.StatusNotifierItem',
      member: 'Activate',
      signature: 'ii',
      body: [10, 10],
    });
  }

  async menu(): Promise<readonly ShownEntry[]> {
    const [, layout] = (await this.call('GetLayout', 'iias', [0, -1, []])) as [number, unknown];
    return entryOf(layout).entries;
  }

  async call(member: string, signature: string, body: unknown[]): Promise<unknown> {
    const path = (await this.property('Menu')) as string;
    return this.bus.invoke({
      destination: this.item,
      path,
      interface: 'com.canonical.dbusmenu',
      member,
      signature,
      body,
    });
  }

  /** Clicks the entry at the end of a path of labels. */
  async click(...labels: readonly string[]): Promise<void> {
    const { id } = await this.find(...labels);
    await this.call('Event', 'isvu', [id, 'clicked', ['i', 0], 0]);
  }

  async find(...labels: readonly string[]): Promise<ShownEntry> {
    let entries = await this.menu();
    let found: ShownEntry | undefined;
    for (const label of labels) {
      found = entries.find((entry) => entry.label === label);
      if (found === undefined) throw new Error(`No “${label}” in: ${labelsOf(entries).join(' | ')}`);
      entries = found.entries;
    }
    if (found === undefined) throw new Error('Nothing to look for.');
    return found;
  }
}

export function labelsOf(entries: readonly ShownEntry[]): string[] {
  return entries.map(({ label, separator }) => (separator ? '---' : (label ?? '')));
}

function entryOf(node: unknown): ShownEntry {
  const [id, properties, children] = node as [number, Record<string, unknown>, unknown[]];
  return {
    id,
    label: properties['label'] as string | undefined,
    enabled: properties['enabled'] !== false,
    checked: properties['toggle-type'] === undefined ? undefined : properties['toggle-state'] === 1,
    separator: properties['type'] === 'separator',
    entries: children.map(entryOf),
  };
}
