import { readFile, rename } from 'node:fs/promises';
import { cpus, hostname, totalmem } from 'node:os';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { HostAddress } from '../../shared/model/host.ts';
import { DisplayName, VmUuid } from '../../shared/model/identifiers.ts';
import { changedDeparture, DepartureChange, defaultDeparture } from '../../shared/model/signal.ts';
import { Level } from '../../shared/model/vm.ts';
import { PolicyName } from '../../shared/policy/index.ts';
import { type Finding, HostSettings, Notify, Preferences } from '../../shared/rpc.ts';
import { asideName, damageFindings, replaceFile } from './stored-file.ts';

/** What a person chose. Fields of a newer version are kept when an older one writes the file. */
export const Settings = z.looseObject({
  ...Preferences.shape,
  /** VMs that are not here are `off`. */
  levels: z.record(VmUuid, Level),
  host: HostSettings,
  /** Which rule decides: our own, or that of Muda's thesis. */
  policy: PolicyName,
  /** Hosts added by address. */
  manualHosts: z.array(HostAddress).max(100),
});
export type Settings = z.infer<typeof Settings>;

export interface SettingsStore {
  readonly current: Settings;
  /** For `doctor`: damaged files that were kept aside. */
  readonly findings: readonly Finding[];
  /**
   * Resolves once the change is on disk; changes are made one after another.
   * @throws HomewardError `bad-input` for a change that is not allowed, `disk-full`, `permission`; nothing changes then.
   */
  update(change: (settings: Settings) => Settings): Promise<Settings>;
}

/** Half of the machine for visitors: its owner may be sitting at it. */
export function defaultSettings(): Settings {
  const name = DisplayName.safeParse(hostname().split('.')[0]);
  return {
    name: name.success ? name.data : 'computer',
    levels: {},
    host: {
      enabled: false,
      port: 0,
      maxVisitors: 2,
      maxMemoryBytes: Math.floor(totalmem() / 2),
      maxVcpus: Math.max(1, cpus().length),
      // A week away is ordinary; after that the memory it takes is better used.
      leaseHours: 7 * 24,
    },
    policy: 'homeward',
    cooldownS: 120,
    balloon: true,
    notify: { suggestions: true, moves: true, trouble: true, pairing: true },
    departure: defaultDeparture,
    leaving: [],
    closeToTray: true,
    manualHosts: [],
  };
}

/**
 * The settings in `file`, defaults where it says nothing.
 * @throws HomewardError `damaged-file` where it is not what Homeward writes, `permission` where it cannot be read.
 */
export async function readSettings(file: string, defaults: Settings = defaultSettings()): Promise<Settings> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new HomewardError('permission', `The settings file ${file} cannot be read: ${cause.message}`, {
      hint: 'Make it yours and readable.',
      cause,
    });
  });
  if (text === undefined) return defaults;
  const stored = Partial.safeParse(parseJson(text));
  if (!stored.success) {
    const why = z.prettifyError(stored.error).replaceAll('\n', ' ').slice(0, 300);
    throw new HomewardError('damaged-file', `The settings file ${file} is damaged: ${why}`, {
      hint: 'Correct it by hand, or delete it to start with the defaults.',
      cause: stored.error,
    });
  }
  return Settings.parse({
    ...defaults,
    ...stored.data,
    host: { ...defaults.host, ...stored.data.host },
    notify: { ...defaults.notify, ...stored.data.notify },
    departure: changedDeparture(defaults.departure, stored.data.departure ?? {}),
  });
}

const Partial = Settings.partial().extend({
  host: HostSettings.partial().optional(),
  notify: Notify.partial().optional(),
  departure: DepartureChange.optional(),
});

/**
 * Opens the settings for the engine, which starts in any case: a damaged file is moved aside, whole, and the
 * defaults hold (no VM moves by itself, no visitors) until the user has looked.
 */
export async function openSettings(file: string, now: () => Date = () => new Date()): Promise<SettingsStore> {
  const defaults = defaultSettings();
  const loaded = await readSettings(file, defaults).catch(async (error: unknown) => {
    if (!(error instanceof HomewardError && error.code === 'damaged-file')) throw error;
    await rename(file, await asideName(file, now()));
    return defaults;
  });
  const findings = await damageFindings(
    file,
    'The settings file was damaged',
    'Homeward could not read its settings and started with the defaults.',
  );
  return settingsStore(file, loaded, findings);
}

function settingsStore(file: string, loaded: Settings, findings: readonly Finding[]): SettingsStore {
  let current = loaded;
  let last: Promise<unknown> = Promise.resolve();
  const updateNow = async (change: (settings: Settings) => Settings): Promise<Settings> => {
    const changed = Settings.safeParse(change(current));
    if (!changed.success) {
      throw new HomewardError(
        'bad-input',
        `These settings are not possible: ${z.prettifyError(changed.error).replaceAll('\n', ' ')}`,
        { cause: changed.error },
      );
    }
    await replaceFile(file, `${JSON.stringify(changed.data, null, 2)}\n`);
    current = changed.data;
    return current;
  };
  return {
    get current() {
      return current;
    },
    findings,
    update(change) {
      const mine = last.then(() => updateNow(change));
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
