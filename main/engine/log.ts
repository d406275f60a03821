import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { HomewardError } from '../../shared/errors.ts';

export type { Logger } from 'pino';

/** pino's level names, quietest first. */
const levels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** Names under which secrets travel; a value under one of them, two levels deep, is never written. */
const secretNames = ['key', 'privateKey', 'keyPem', 'secret', 'nonce', 'code', 'password', 'passphrase', 'token'];

export interface LogOptions {
  /** A file to append to, made with mode 0600; stderr otherwise. */
  readonly file?: string;
  /** From HOMEWARD_LOG; `info` where it is not set. */
  readonly level?: string | undefined;
  /** Instead of a file or stderr. */
  readonly stream?: DestinationStream;
}

/**
 * JSON lines with time and level. Writing is synchronous: what was logged before a crash is there after it, and
 * the engine logs a few lines a minute.
 * @throws HomewardError `bad-input` for a level pino does not know.
 */
export function createLog({ file, level = process.env['HOMEWARD_LOG'] ?? 'info', stream }: LogOptions = {}): Logger {
  if (!levels.some((known) => known === level)) {
    throw new HomewardError('bad-input', `HOMEWARD_LOG is "${level}"; it can be ${levels.join(', ')}.`);
  }
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor },
      serializers: { err: describeError },
    },
    stream ??
      destination({ dest: file ?? 2, sync: true, mkdir: false, ...(file === undefined ? {} : { mode: 0o600 }) }),
  );
}

/** `code` is also the name of an error's kind, which the log is for. */
function censor(value: unknown, path: string[]): unknown {
  return path.at(-1) === 'code' && !/^\d{6}$/.test(String(value)) ? value : '[secret]';
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  return {
    ...(error instanceof HomewardError ? { code: error.code, hint: error.hint } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
