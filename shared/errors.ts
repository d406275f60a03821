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
