import { Engine } from './engine.ts';

/** The engine's process: `homeward engine` and `homeward host` start it. Ends on SIGTERM, SIGINT or `engine.stop`. */
async function main(): Promise<void> {
  const engine = await Engine.start({ hostRole: process.argv.includes('--host') });
  const stop = (): void => {
    engine.stop().then(
      () => process.exit(0),
      (thrown: unknown) => {
        process.stderr.write(`${String(thrown)}\n`);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  engine.onStopAsked(stop);
}

main().catch((thrown: unknown) => {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const hint =
    thrown instanceof Error && 'hint' in thrown && thrown.hint !== undefined ? `\n${String(thrown.hint)}` : '';
  process.stderr.write(`${message}${hint}\n`);
  process.exit(1);
});
