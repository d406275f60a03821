/**
 * Every way Homeward can say no. The code is for programs, the message is a sentence for a person,
 * the hint says what to do next.
 */
export const errorCodes = [
  'bad-input',
  'unknown-vm',
  'unknown-host',
  'vm-not-running',
  'vm-away',
  'vm-home',
  'vm-busy',
  'not-ready',
  'not-paired',
  'pairing-failed',
  'host-unreachable',
  'host-full',
  'refused',
  'incompatible',
  'missing-tool',
  'permission',
  'disk-full',
  'no-postcopy',
  'name-resolution',
  'damaged-file',
  'too-late',
  'cancelled',
  'timeout',
  'engine-not-running',
  'engine-running',
  'libvirt',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What to do where whoever refused had nothing better to say. */
export const usualHints: Readonly<Record<ErrorCode, string>> = {
  'bad-input': 'See what can be asked for with: homeward --help',
  'unknown-vm': 'See what there is with: homeward vms',
  'unknown-host': 'See what there is with: homeward hosts',
  'vm-not-running': 'Start the VM first.',
  'vm-away': 'Bring the VM home first: homeward home',
  'vm-home': 'To move it out: homeward offload',
  'vm-busy': 'See what is going on with: homeward status',
  'not-ready': 'See what is missing with: homeward doctor',
  'not-paired': 'Pair the two machines: homeward pair NAME',
  'pairing-failed': 'Begin the pairing again: homeward pair NAME',
  'host-unreachable': 'Is it switched on, on the same network, and is `homeward host` running there?',
  'host-full': 'Bring another VM home first, or choose another host.',
  refused: 'See how things stand with: homeward status',
  incompatible: 'See all that stands in the way with: homeward doctor',
  'missing-tool': 'Install what is missing: npm run setup',
  permission: 'Check that the file and its folder are yours.',
  'disk-full': 'Free some space and try again.',
  'no-postcopy': 'Let the move finish as it is, or cancel it.',
  'name-resolution': 'Name this computer in /etc/hosts; see: homeward doctor',
  'damaged-file': 'Put the file back from a backup; see: homeward doctor',
  'too-late': 'Let it finish.',
  cancelled: 'Nothing was lost; try again when it suits.',
  timeout: 'Try again; if it stays so, see: homeward doctor',
  'engine-not-running': 'Start it: homeward engine --detach',
  'engine-running': 'Use it, or stop it first: homeward engine stop',
  libvirt: 'See: homeward doctor',
  internal: 'The log of the engine says more; see: homeward doctor',
};

/** What crosses a socket instead of an Error. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export class HomewardError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HomewardError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Any thrown value as a report; what is not ours becomes `internal` with its own message. */
export function reportOf(thrown: unknown): ErrorReport {
  if (thrown instanceof HomewardError) {
    return thrown.hint === undefined
      ? { code: thrown.code, message: thrown.message }
      : { code: thrown.code, message: thrown.message, hint: thrown.hint };
  }
  return { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

export function errorFrom(report: ErrorReport): HomewardError {
  return new HomewardError(report.code, report.message, { hint: report.hint });
}
