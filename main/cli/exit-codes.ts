import { type ErrorCode, HomewardError } from '../../shared/errors.ts';

/** What scripts may rely on; `homeward --help` lists them. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  badInput: 2,
  noEngine: 3,
  refused: 4,
  cancelled: 5,
  interrupted: 130,
} as const;

export const exitCodesHelp = `
Exit codes:
  0    done
  1    failed (also: a move that ended badly, a problem found by doctor)
  2    bad usage or input: unknown option, VM or host
  3    the engine is not running, or ended while the command waited
  4    refused or not possible now: not ready, host full, incompatible, too late
  5    cancelled
  130  ended by Ctrl-C; a move under way goes on`;

export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof HomewardError ? byError[thrown.code] : exitCodes.failed;
}

const byError: Readonly<Record<ErrorCode, number>> = {
  'bad-input': exitCodes.badInput,
  'unknown-vm': exitCodes.badInput,
  'unknown-host': exitCodes.badInput,
  'vm-not-running': exitCodes.refused,
  'vm-away': exitCodes.refused,
  'vm-home': exitCodes.refused,
  'vm-busy': exitCodes.refused,
  'not-ready': exitCodes.refused,
  'not-paired': exitCodes.refused,
  'pairing-failed': exitCodes.failed,
  'host-unreachable': exitCodes.failed,
  'host-full': exitCodes.refused,
  refused: exitCodes.refused,
  incompatible: exitCodes.refused,
  'missing-tool': exitCodes.refused,
  permission: exitCodes.refused,
  'disk-full': exitCodes.failed,
  'no-postcopy': exitCodes.refused,
  'name-resolution': exitCodes.failed,
  'damaged-file': exitCodes.failed,
  'too-late': exitCodes.refused,
  cancelled: exitCodes.cancelled,
  timeout: exitCodes.failed,
  'engine-not-running': exitCodes.noEngine,
  'engine-running': exitCodes.refused,
  libvirt: exitCodes.failed,
  internal: exitCodes.failed,
};
