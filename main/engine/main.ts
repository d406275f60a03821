import { startEngine, startupWords } from './engine.ts';

/** The engine's process: `homeward engine` and `homeward host` start it. Ends on SIGTERM, SIGINT or `engine.stop`. */
function fail(thrown: unknown): never {
  process.stderr.write(`${startupWords(thrown)}\n`);
  process.exit(1);
}

// Meant for this process, which has read it by now; a storage daemon or a QEMU is to use as many heaps as it likes.
delete process.env['MALLOC_ARENA_MAX'];

const stopAsked = Promise.withResolvers<void>();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopAsked.resolve());

try {
  const stop = await startEngine({
    hostRole: process.argv.includes('--host'),
    onStopAsked: () => stopAsked.resolve(),
  });
  await stopAsked.promise;
  await stop();
  process.exit(0);
} catch (thrown) {
  fail(thrown);
}
