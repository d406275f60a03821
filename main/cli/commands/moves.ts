import { type Command, Option } from 'commander';
import type { Direction, Move } from '../../../shared/model/move.ts';
import { moveLine, planLines } from '../../../shared/view/index.ts';
import type { EngineClient } from '../../client/index.ts';
import { parseWhole } from '../choose.ts';
import { type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { followMove } from '../follow.ts';

interface MoveOptions {
  readonly to?: string;
  readonly dryRun?: true;
  readonly detach?: true;
  readonly later?: true;
  readonly by?: string;
}

/** offload, home, cancel, finish. */
export function addMoves(program: Command): void {
  const detach = ['-d, --detach', 'return as soon as the move has begun'] as const;
  const dryRun = ['-n, --dry-run', 'say whether it is possible and what it would cost; exit code 4 if not'] as const;

  does<MoveOptions>(
    program
      .command('offload')
      .description('move a running VM to a host')
      .argument('<vm>', 'name or UUID')
      .option('--to <host>', 'host by name or fingerprint; needed where several answer')
      .option(...dryRun)
      .option(...detach)
      .addHelpText(
        'after',
        `
Ctrl-C cancels while that is safe and says so when it no longer is; a second Ctrl-C leaves the move to the engine.

Examples:
  homeward offload work
  homeward offload work --to tower --dry-run
  homeward offload work --detach && homeward status --watch`,
      ),
    (context, options, vm = '') => move(context, 'out', vm, options),
  );

  does<MoveOptions>(
    program
      .command('home')
      .description('bring a VM home')
      .argument('<vm>', 'name or UUID')
      .option('--by <seconds>', 'be home in that time; if it cannot be, pause the VM where it is')
      .option(...dryRun)
      .option(...detach)
      .addOption(
        new Option(
          '--later',
          'where its host cannot be reached: bring it home by itself as soon as it can be',
        ).conflicts(['by', 'dryRun', 'detach']),
      )
      .addHelpText(
        'after',
        `
A VM that --by has paused goes on where it is when this computer wakes up or Homeward starts, and with: homeward home <vm>

Examples:
  homeward home work
  homeward home work --by 60 --dry-run
  homeward home work --dry-run --json
  homeward home work --later`,
      ),
    (context, options, vm = '') =>
      options.later === true ? wantHome(context, vm) : move(context, 'home', vm, options),
  );

  does(
    program
      .command('cancel')
      .description('cancel the move of a VM, while that is safe; or its waiting to come home')
      .argument('<vm>', 'name or UUID')
      .addHelpText('after', '\nExample:\n  homeward cancel work'),
    async ({ output }, _options, vm = '') => {
      return withEngine(async (engine) => {
        const { moves, vms } = await engine.call('engine.status', {});
        const waiting = vms.find(({ name, uuid }) => name === vm || uuid === vm.toLowerCase());
        if (waiting?.homeWanted !== undefined && !moves.some((move) => move.vm === waiting.uuid)) {
          const left = await engine.call('home.unwant', { vm });
          output.result(left, () => `${left.name} does not wait to come home any more.`);
          return exitCodes.ok;
        }
        const cancelled = await engine.call('move.cancel', { vm });
        output.result(cancelled, () => `Cancelling the move of ${cancelled.vmName}.`);
        return exitCodes.ok;
      });
    },
  );

  does(
    program
      .command('finish')
      .description('finish a move now: switch to post-copy, after which it cannot be cancelled')
      .argument('<vm>', 'name or UUID')
      .addHelpText('after', '\nExample:\n  homeward finish work'),
    async ({ output }, _options, vm = '') => {
      const finishing = await withEngine((engine) => engine.call('move.finishNow', { vm }));
      output.result(finishing, () => `${moveLine(finishing)}.`);
      return exitCodes.ok;
    },
  );
}

async function wantHome({ output }: Context, vm: string): Promise<Outcome> {
  const wanted = await withEngine((engine) => engine.call('home.want', { vm }));
  output.result(
    wanted,
    () => `${wanted.name} comes home as soon as its host can be reached. Call that off with: homeward cancel ${vm}`,
  );
  return exitCodes.ok;
}

async function move(context: Context, direction: Direction, vm: string, options: MoveOptions): Promise<Outcome> {
  const { output } = context;
  const host = options.to === undefined ? {} : { host: options.to };
  const deadline = options.by === undefined ? {} : { deadlineMs: 1_000 * parseWhole(options.by, '--by', 1, 86_400) };
  if (options.dryRun === true) {
    const plan = await withEngine((engine) => engine.call('move.plan', { vm, direction, ...host, ...deadline }));
    output.result(plan, () => planLines(plan).join('\n'));
    return plan.possible ? exitCodes.ok : exitCodes.refused;
  }
  const begin = (engine: EngineClient): Promise<Move> =>
    direction === 'out' ? engine.call('move.offload', { vm, ...host }) : engine.call('move.home', { vm, ...deadline });
  if (options.detach === true) {
    const started = await withEngine(begin);
    output.result(started, () => `${moveLine(started)}.`);
    return exitCodes.ok;
  }
  return followMove(output, begin);
}
