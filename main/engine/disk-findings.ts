import type { Vm } from '../../shared/model/vm.ts';
import type { Finding } from '../../shared/rpc.ts';

/** What became of the storage daemon of one VM since this engine began to look after it. */
export interface DiskStory {
  /** When it was found to have ended and another one to serve in its place, the latest last. */
  readonly restarts: readonly Date[];
  /** Since when it could not be started, and why not; absent while it serves. */
  readonly down?: { readonly since: Date; readonly sentence: string };
  /** The VM stands still at home because its disk did not answer. */
  readonly stopped: boolean;
}

/** Longer ago, and the VM has shown that it got over it. */
const toldForMs = 24 * 60 * 60_000;

export function stoppedByDisk(name: string): string {
  return `${name} was stopped because its disk did not answer`;
}

/** What the doctor says of a VM's disk; `trouble` is why it is not served at this moment. */
export function diskFindings(vm: Vm, story: DiskStory, trouble: string | undefined, nowMs: number): Finding[] {
  const { uuid, name, connection } = vm;
  const virsh = `virsh -c qemu:///${connection}`;
  const findings: Finding[] = [];
  const reason = trouble ?? story.down?.sentence;
  if (reason !== undefined) {
    const since = story.down === undefined ? '' : ` It has been down since ${story.down.since.toISOString()}.`;
    findings.push({
      id: `disk-${uuid}`,
      severity: 'problem',
      title: `The disk of ${name} is not served`,
      detail: `${reason}${since}`,
      remedy:
        'Until it is, the VM cannot start; one that runs stalls and goes on once it is served again. It is tried again by itself.',
    });
  }
  if (story.stopped) {
    findings.push({
      id: `disk-stopped-${uuid}`,
      severity: 'problem',
      title: stoppedByDisk(name),
      detail:
        'If its storage daemon died, what the VM wrote last may be missing; if its drive was only full, nothing is.',
      remedy: `Start it anew (${virsh} destroy ${name}; ${virsh} start ${name}). If its drive was only full:`,
      command: `${virsh} resume ${name}`,
    });
  }
  const recent = story.restarts.filter((at) => nowMs - at.getTime() < toldForMs);
  const last = recent.at(-1);
  if (last !== undefined) {
    findings.push({
      id: `disk-restarted-${uuid}`,
      severity: 'note',
      title: `The storage daemon of ${name} had ended and was started again`,
      detail: `${recent.length === 1 ? 'Once' : `${recent.length} times`} in the last day, last noticed at ${last.toISOString()}.`,
      remedy:
        'If nobody ended it, look for the reason: too little memory (journalctl -k), or a crash. What the VM wrote in that moment may be missing.',
    });
  }
  return findings;
}
