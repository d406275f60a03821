import { LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';

/** Why a connection cannot be watched, for a person. */
export interface Obstacle {
  readonly sentence: string;
  readonly hint: string;
}

interface Rule {
  readonly applies: (error: LibvirtError) => boolean;
  readonly obstacle: (uri: string) => Obstacle;
}

const says =
  (pattern: RegExp) =>
  ({ message }: LibvirtError): boolean =>
    pattern.test(message);

const rules: readonly Rule[] = [
  {
    applies: ({ kind }) => kind === 'unavailable',
    obstacle: () => ({
      sentence: "libvirt's library could not be used.",
      hint: 'Install libvirt (on Debian and Ubuntu: sudo apt install libvirt-daemon-system).',
    }),
  },
  {
    applies: ({ kind }) => kind === 'timeout',
    obstacle: (uri) => ({
      sentence: `libvirt at ${uri} does not answer.`,
      hint: 'If it stays so, restart libvirt: sudo systemctl restart libvirtd (running VMs go on running).',
    }),
  },
  {
    applies: (error) =>
      [libvirtErrorCode.AUTH_FAILED, libvirtErrorCode.OPERATION_DENIED, libvirtErrorCode.ACCESS_DENIED].some(
        (code) => code === error.code,
      ) || says(/permission denied|authentication|not authorized/i)(error),
    obstacle: (uri) => ({
      sentence: `You may not use libvirt at ${uri}.`,
      hint: 'Join the group libvirt: sudo usermod -aG libvirt "$USER", then log in again.',
    }),
  },
  {
    applies: says(/no such file or directory|connection refused|failed to connect socket/i),
    obstacle: (uri) => ({
      sentence: `No libvirt is running at ${uri}.`,
      hint: 'Start it: sudo systemctl enable --now libvirtd.socket (or virtqemud.socket); without VMs there, nothing is missing.',
    }),
  },
];

export function obstacleOf(thrown: unknown, uri: string): Obstacle {
  const rule = thrown instanceof LibvirtError ? rules.find(({ applies }) => applies(thrown)) : undefined;
  if (rule !== undefined) return rule.obstacle(uri);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { sentence: `libvirt at ${uri} cannot be watched: ${message}.`, hint: `Try by hand: virsh -c ${uri} list` };
}
