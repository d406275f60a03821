import { HomewardError } from '../../shared/errors.ts';
import { startEngine, statusOfEngine } from '../client/index.ts';
import type { EngineLine } from './engine-line.ts';

let starting: Promise<void> | undefined;

/** Starts an engine where none runs, which goes on when the shell ends; resolves when the shell reaches it. */
export function ensureEngine(engine: EngineLine): Promise<void> {
  starting ??= start(engine).finally(() => {
    starting = undefined;
  });
  return starting;
}

const reachedTimeoutMs = 10_000;

async function start(engine: EngineLine): Promise<void> {
  if (engine.state === 'up') return;
  if ((await statusOfEngine()) === undefined) {
    const { child } = await startEngine({ host: false });
    child.unref();
  }
  const reached = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reached.reject(new HomewardError('timeout', 'The engine runs, but the window does not reach it.')),
    reachedTimeoutMs,
  );
  const nothing = (): void => undefined;
  const unwatch = engine.watch({
    engine: (state) => {
      if (state === 'up') reached.resolve();
    },
    status: nothing,
    move: nothing,
    decision: nothing,
    pairing: nothing,
  });
  engine.tryNow();
  try {
    await reached.promise;
  } finally {
    clearTimeout(timer);
    unwatch();
  }
}
