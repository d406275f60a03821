import { HomewardError, reportOf } from '../../shared/errors.ts';
import type { Move } from '../../shared/model/move.ts';
import { moveSummary, wasCancelled } from '../../shared/view/index.ts';
import { connectEngine, type EngineClient } from '../client/index.ts';
import type { Outcome } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { onInterrupts } from './interrupts.ts';
import type { Output } from './output.ts';
import { progressDisplay } from './progress.ts';

/**
 * Begins a move and shows it to its end. Ctrl-C asks the engine to cancel, which it does while that is safe;
 * a second one leaves the move to the engine.
 */
export async function followMove(output: Output, begin: (engine: EngineClient) => Promise<Move>): Promise<Outcome> {
  const display = progressDisplay(output);
  let id: string | undefined;
  const engine = await connectEngine({
    listeners: {
      move: (move) => {
        if (move.id === id && move.endedAt === undefined) display.update(move);
      },
    },
  });
  let interrupts = 0;
  let leave: (() => void) | undefined;
  const left = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
  });
  let vm: string | undefined;
  const stopListening = onInterrupts(() => {
    interrupts += 1;
    if (interrupts === 1 && vm !== undefined) {
      void cancel(engine, vm).then(display.note.bind(display));
    } else {
      leave?.();
    }
  });
  try {
    const started = await Promise.race([begin(engine), left]);
    if (started === undefined) return leftBehind(output);
    id = started.id;
    vm = started.vm;
    display.update(started);
    const ended = await Promise.race([engine.call('move.wait', { id }, { timeoutMs: Number.POSITIVE_INFINITY }), left]);
    display.end();
    if (ended === undefined) return leftBehind(output);
    output.result(ended, () => moveSummary(ended));
    return outcomeOf(ended);
  } finally {
    stopListening();
    display.end();
    engine.close();
  }
}

function outcomeOf(move: Move): number {
  if (move.phase === 'done') return exitCodes.ok;
  return wasCancelled(move) ? exitCodes.cancelled : exitCodes.failed;
}

/** What came of asking, in words. */
async function cancel(engine: EngineClient, vm: string): Promise<string> {
  const again = 'Ctrl-C again leaves the move to the engine.';
  try {
    await engine.call('move.cancel', { vm });
    return `Cancelling. ${again}`;
  } catch (thrown) {
    return `${reportOf(thrown).message} ${again}`;
  }
}

function leftBehind(output: Output): Outcome {
  output.error(
    new HomewardError('cancelled', 'Stopped watching; the move goes on in the engine.', {
      hint: 'See how it goes with: homeward status --watch',
    }),
  );
  return exitCodes.interrupted;
}
