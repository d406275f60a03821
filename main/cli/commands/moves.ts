import type { Command } from 'commander';
import type { Direction, Move } from '../../../shared/model/move.ts';
import { moveLine, planLines } from '../../../shared/view/index.ts';
import type { EngineClient } from '../client.ts';
import { type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { followMove } from '../follow.ts';

interface MoveOptions {
  readonly to?: string;
  readonly dryRun?: true;
  readonly detach?: true;
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
      .option('--to <host>', 'host by name or fingerprint; else the best one that can take it')
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
      .option(...dryRun)
      .option(...detach)
      .addHelpText('after', '\nExamples:\n  homeward home work\n  homeward home work --dry-run --json'),
    (context, options, vm = '') => move(context, 'home', vm, options),
  );

  does(
    program
      .command('cancel')
      .description('cancel the move of a VM, while that is safe')
      .argument('<vm>', 'name or UUID')
      .addHelpText('after', '\nExample:\n  homeward cancel work'),
    async ({ output }, _options, vm = '') => {
      const cancelled = await withEngine((engine) => engine.call('move.cancel', { vm }));
      output.result(cancelled, () => `Cancelling the move of ${cancelled.vmName}.`);
      return exitCodes.ok;
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

async function move(context: Context, direction: Direction, vm: string, options: MoveOptions): Promise<Outcome> {
  const { output } = context;
  const host = options.to === undefined ? {} : { host: options.to };
  if (options.dryRun === true) {
    const plan = await withEngine((engine) => engine.call('move.plan', { vm, direction, ...host }));
    output.result(plan, () => planLines(plan).join('\n'));
    return plan.possible ? exitCodes.ok : exitCodes.refused;
  }
  const begin = (engine: EngineClient): Promise<Move> =>
    direction === 'out' ? engine.call('move.offload', { vm, ...host }) : engine.call('move.home', { vm });
  if (options.detach === true) {
    const started = await withEngine(begin);
    output.result(started, () => `${moveLine(started)}.`);
    return exitCodes.ok;
  }
  return followMove(output, begin);
}
