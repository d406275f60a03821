import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DefinedInterface, defineInterface, type MessageBus } from 'dbus-native';
import { vi } from 'vitest';
import { tempFolder } from '../engine/temp-folder.ts';

const service = 'org.freedesktop.login1';
const path = '/org/freedesktop/login1';

/** Rows of ListInhibitors. */
type Row = readonly [what: string, who: string, why: string, mode: string, uid: number, pid: number];

/** logind as far as it is asked here, and a `systemd-inhibit` that it agrees with, or does not. */
export class LogindStandIn {
  /** Where that program is. */
  readonly folder: string;
  lidClosed = false;
  docked = false;
  onMains = false;
  preparingForSleep = false;
  /** As in logind.conf(5). */
  settings = { lid: 'suspend', onMains: '', docked: 'ignore' };
  /** Locks of others. */
  others: readonly Row[] = [];
  #bus: MessageBus | undefined;
  #manager: DefinedInterface | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<LogindStandIn> {
    const folder = await tempFolder();
    const script = `#!/bin/sh
if [ -e '${folder}/refuses' ]; then echo 'Failed to inhibit: Access denied' >&2; exit 1; fi
echo "$1" "$2" > '${folder}/lock.'$$
exec cat
`;
    await writeFile(join(folder, 'systemd-inhibit'), script, { mode: 0o755 });
    return new LogindStandIn(folder);
  }

  async serve(bus: MessageBus): Promise<void> {
    const bool = (get: () => boolean) => ({ type: 'b', access: 'read' as const, get });
    const word = (get: () => string) => ({ type: 's', access: 'read' as const, get });
    this.#bus = bus;
    this.#manager = defineInterface({
      name: `${service}.Manager`,
      methods: { ListInhibitors: { out: { locks: 'a(ssssuu)' }, handler: () => this.locks() } },
      properties: {
        LidClosed: bool(() => this.lidClosed),
        Docked: bool(() => this.docked),
        OnExternalPower: bool(() => this.onMains),
        PreparingForSleep: bool(() => this.preparingForSleep),
        HandleLidSwitch: word(() => this.settings.lid),
        HandleLidSwitchExternalPower: word(() => this.settings.onMains),
        HandleLidSwitchDocked: word(() => this.settings.docked),
      },
      signals: { PrepareForSleep: { args: { start: 'b' } } },
    });
    await this.answer();
    await bus.requestName(service, 4);
  }

  async answer(): Promise<void> {
    if (this.#manager !== undefined) await this.#bus?.export(path, this.#manager);
  }

  /** An error, whatever it is asked. */
  fail(): void {
    this.#bus?.unexportInterface(path);
  }

  async leave(): Promise<void> {
    await this.#bus?.releaseName(service);
  }

  sleeps(): void {
    this.preparingForSleep = true;
    this.#manager?.emit['PrepareForSleep']?.(true);
  }

  /** From now on, or no longer. */
  async refuse(isRefused: boolean): Promise<void> {
    const file = join(this.folder, 'refuses');
    if (isRefused) await writeFile(file, '');
    else await rm(file, { force: true });
  }

  /** Everybody's; of ours, those whose holder lives. */
  async locks(): Promise<readonly Row[]> {
    const files = (await readdir(this.folder)).filter((name) => name.startsWith('lock.'));
    const ours = await Promise.all(files.map((name) => this.#lock(name)));
    return [...this.others, ...ours.flat()];
  }

  async #lock(file: string): Promise<readonly Row[]> {
    const pid = Number(file.slice('lock.'.length));
    const lives = await access(`/proc/${pid}`).then(
      () => true,
      () => false,
    );
    const [, what, mode] = /--what=(\S+) --mode=(\S+)/.exec(await readFile(join(this.folder, file), 'utf8')) ?? [];
    if (!lives || what === undefined || mode === undefined) return [];
    return [[what, 'Homeward', 'a test', mode, 0, pid]];
  }
}

const realNow = performance.now.bind(performance);

/** From now on it is that much later than it is. */
export function later(ms: number): void {
  vi.spyOn(performance, 'now').mockImplementation(() => realNow() + ms);
}
