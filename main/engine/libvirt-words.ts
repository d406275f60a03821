import { type ErrorCode, HomewardError } from '../../shared/errors.ts';
import { LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';

/** libvirt's errors as ours: the one place where its codes are read for people. */
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

export function inWords(thrown: unknown): unknown {
  if (!(thrown instanceof LibvirtError)) return thrown;
  if (thrown.kind === 'timeout') {
    return new HomewardError('timeout', `libvirt did not answer in time: ${thrown.message}`, {
      hint: 'Whether the request took effect is not known. See: homeward status',
      cause: thrown,
    });
  }
  if (thrown.kind === 'unavailable') {
    return new HomewardError('missing-tool', thrown.message, { hint: 'Install libvirt: npm run setup', cause: thrown });
  }
  const [, code = 'libvirt' as const, hint] = known.find(([number]) => number === thrown.code) ?? [];
  return new HomewardError(code, thrown.message, { hint, cause: thrown });
}
