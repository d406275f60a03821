import type { Host } from '../../shared/model/host.ts';
import type { AwayTrouble, Vm } from '../../shared/model/vm.ts';
import type { Finding } from '../../shared/rpc.ts';
import { awayNotes, isOutOfReach } from '../../shared/view/index.ts';

/** Where a VM is, and what is amiss with that: in the words of all other views, with what to do. */
export function placeFindings(vm: Vm, hosts: readonly Host[], nowMs: number): Finding[] {
  const notes = awayNotes(vm, hosts, nowMs);
  if (notes.length === 0) {
    if (vm.place.kind === 'home') return [];
    const title = `${vm.name} is away on ${vm.place.hostName}`;
    return [{ id: `away-${vm.uuid}`, severity: 'ok', title, detail: 'The link is up.' }];
  }
  const [trouble] = vm.awayTroubles ?? [];
  const isProblem = isOutOfReach(vm, hosts) || trouble !== undefined || vm.place.kind === 'home';
  return [
    {
      id: `away-${vm.uuid}`,
      severity: isProblem ? 'problem' : 'note',
      title: title(vm, hosts),
      detail: notes.join(' '),
      ...whatToDo(vm, hosts, trouble),
    },
  ];
}

function title(vm: Vm, hosts: readonly Host[]): string {
  const { name, place } = vm;
  if (place.kind === 'home') return `${name} ended while it was away`;
  return isOutOfReach(vm, hosts)
    ? `${name} is away and ${place.hostName} does not answer`
    : `${name} is away on ${place.hostName}`;
}

function whatToDo(
  vm: Vm,
  hosts: readonly Host[],
  trouble: AwayTrouble | undefined,
): Required<Pick<Finding, 'remedy' | 'command'>> | Pick<Finding, 'remedy'> {
  const { name, place, connection } = vm;
  const restart = `homeward restart-here ${name}`;
  const isHalfDone = place.kind === 'home' ? place.starting === true : place.restarting !== undefined;
  if (isHalfDone) return { remedy: 'It goes on by itself; if it does not, the log of the engine says why.' };
  if (place.kind === 'home') return { remedy: 'Start it here from its disk.', command: restart };
  switch (trouble) {
    case 'forgotten':
      return { remedy: 'Start it here from its disk; it says first what is lost.', command: restart };
    case 'undefined-here':
      return { remedy: 'Bring it home.', command: `homeward home ${name}` };
    case 'renamed':
      return { remedy: 'Rename it back (virsh domrename), bring it home, then rename it.' };
    case 'runs-here':
      return { remedy: 'Shut down the one here.', command: `virsh -c qemu:///${connection} shutdown ${name}` };
    case undefined:
      return isOutOfReach(vm, hosts)
        ? {
            remedy: `Bring ${place.hostName} back: switched on, on a network this computer reaches. Only if it is lost for good, start the VM here from its disk.`,
            command: restart,
          }
        : { remedy: 'To let it stay there:', command: `homeward cancel ${name}` };
    default:
      return trouble satisfies never;
  }
}
