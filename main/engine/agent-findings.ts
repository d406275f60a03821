import type { Vm } from '../../shared/model/vm.ts';
import type { Finding } from '../../shared/rpc.ts';
import type { AgentTrouble } from '../monitor/index.ts';

/** What the doctor says of a VM's guest agent. Without it a VM is watched from outside alone, which is enough to move it. */
export function agentFindings({ uuid, name }: Pick<Vm, 'uuid' | 'name'>, trouble: AgentTrouble | undefined): Finding[] {
  return trouble === undefined ? [] : [{ id: `agent-${uuid}`, severity: 'note', ...findings[trouble](name) }];
}

const without =
  'Homeward judges this VM by what libvirt sees from outside, and does not learn which programs run long.';

const findings: Readonly<
  Record<AgentTrouble, (name: string) => Pick<Finding, 'title' | 'detail' | 'remedy' | 'command'>>
> = {
  silent: (name) => ({
    title: `The guest agent of ${name} does not answer`,
    detail: without,
    remedy: 'Install and start it inside the VM; it is asked again by itself.',
    command: 'sudo apt-get install qemu-guest-agent',
  }),
  nonsense: (name) => ({
    title: `The guest agent of ${name} gives impossible answers`,
    detail: `Its figures are ignored. ${without}`,
    remedy: 'Update qemu-guest-agent inside the VM. If you do not trust that VM, nothing has to be done.',
  }),
  refuses: (name) => ({
    title: `The guest agent of ${name} is not allowed to answer`,
    detail: `It refuses guest-get-load, guest-get-cpustats, guest-file-open and guest-exec. ${without}`,
    remedy: 'To have it tell, allow these in the agent’s own settings inside the VM (block-rpcs, allow-rpcs).',
  }),
};
