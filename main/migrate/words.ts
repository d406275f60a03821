import { type ErrorCode, HomewardError, usualHints } from '../../shared/errors.ts';
import { LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';

/** libvirt's codes for people: the one place where they are read. */
const known: readonly (readonly [number, ErrorCode, string])[] = [
  [libvirtErrorCode.NO_DOMAIN, 'unknown-vm', 'libvirt no longer knows this VM. List what there is: homeward vms'],
  [libvirtErrorCode.AUTH_FAILED, 'permission', 'Add yourself to the libvirt group, then log in again.'],
  [libvirtErrorCode.ACCESS_DENIED, 'permission', 'Ask whoever runs this machine for access to libvirt.'],
  [libvirtErrorCode.CPU_INCOMPATIBLE, 'incompatible', 'Give the VM a CPU both machines have: homeward adopt'],
  [libvirtErrorCode.OPERATION_ABORTED, 'cancelled', 'The VM stayed where it was.'],
  [libvirtErrorCode.NO_CONNECT, 'libvirt', 'Is libvirtd running? See: homeward doctor'],
  [
    libvirtErrorCode.RPC,
    'libvirt',
    'libvirtd went away during the call; it usually comes back by itself. See: homeward doctor',
  ],
];

/**
 * Whatever was thrown, as something a person can act on: libvirt's errors and a full disk become ours, and every
 * one of ours says what to do. A fault in the program itself stays as it is.
 */
export function inWords(thrown: unknown): unknown {
  if (thrown instanceof HomewardError) {
    const { code, message, hint, cause } = thrown;
    return hint === undefined ? new HomewardError(code, message, { hint: usualHints[code], cause }) : thrown;
  }
  if (thrown instanceof LibvirtError) return libvirtInWords(thrown);
  return isDiskFull(thrown)
    ? new HomewardError('disk-full', `The disk is full: ${thrown.message}`, {
        hint: usualHints['disk-full'],
        cause: thrown,
      })
    : thrown;
}

/** The same as one sentence after the other, for where there is room for a text only. */
export function sentencesOf(thrown: unknown): string {
  const error = inWords(thrown);
  if (error instanceof HomewardError) return `${ended(error.message)} ${error.hint ?? ''}`.trim();
  return error instanceof Error ? error.message : String(error);
}

const ended = (sentence: string): string => (/[.!?]$/.test(sentence) ? sentence : `${sentence}.`);

function isDiskFull(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOSPC' || thrown.code === 'EDQUOT');
}

function libvirtInWords(thrown: LibvirtError): HomewardError {
  if (thrown.kind === 'timeout') {
    return new HomewardError('timeout', `libvirt did not answer in time: ${thrown.message}`, {
      hint: 'Whether the request took effect is not known. See: homeward status',
      cause: thrown,
    });
  }
  if (thrown.kind === 'unavailable') {
    return new HomewardError('missing-tool', thrown.message, { hint: 'Install libvirt: npm run setup', cause: thrown });
  }
  const [, code = 'libvirt' as const, hint = usualHints.libvirt] =
    known.find(([number]) => number === thrown.code) ?? [];
  return new HomewardError(code, thrown.message, { hint, cause: thrown });
}
