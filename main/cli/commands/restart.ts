import type { Command } from 'commander';
import { HomewardError } from '../../../shared/errors.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { restartWarnings } from '../../../shared/view/index.ts';
import { findVm } from '../choose.ts';
import { type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

interface RestartOptions {
  readonly yes?: true;
  /** commander's form of --no-start. */
  readonly start: boolean;
}

/** restart-here: go on from the home disk, without what the VM has in memory away. */
export function addRestart(program: Command): void {
  does<RestartOptions>(
    program
      .command('restart-here')
      .description('start a VM here from its disk, when the host it is at is lost: what it has in memory there is lost')
      .argument('<vm>', 'name or UUID')
      .option('-y, --yes', 'answer yes to the question')
      .option('--no-start', 'only take its disk back, and leave it shut off')
      .addHelpText(
        'after',
        `
It says what is lost, then asks. The visitor is cut off from its disk first, for good; a host that is met again later
is told, and ends what is left there. While the host can be reached and has the VM this is refused: bring it home.
With --json nothing is asked: it needs --yes.

Examples:
  homeward restart-here work
  homeward restart-here work --yes --no-start`,
      ),
    (context, options, vm = '') => restart(context, vm, options),
  );
}

async function restart({ output, asker }: Context, key: string, options: RestartOptions): Promise<Outcome> {
  const { vms, moves } = await withEngine((engine) => engine.call('engine.status', {}));
  const vm = findVm(vms, key);
  if (options.yes !== true) {
    if (output.json) {
      throw new HomewardError('refused', 'What the VM has in memory would be lost, and nobody was asked.', {
        hint: 'Add --yes.',
      });
    }
    const move = moves.find((candidate) => candidate.vm === vm.uuid);
    for (const warning of restartWarnings(vm, move, Date.now())) output.note(warning);
    if (!(await asker.confirm(`Go on with ${vm.name} from its disk here?`))) {
      output.note('Nothing was changed.');
      return exitCodes.cancelled;
    }
  }
  const ended = await withEngine((engine) => engine.call('vm.restartHere', { vm: vm.uuid, start: options.start }));
  output.result(ended, () => restartedWords(ended));
  return exitCodes.ok;
}

function restartedWords({ name, state, connection }: Vm): string {
  return state === 'shutoff'
    ? `The disk of ${name} is here again. Start it with: virsh -c qemu:///${connection} start ${name}`
    : `${name} was started here from its disk.`;
}
