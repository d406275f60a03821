import type { Command } from 'commander';
import { connectEngine, type EngineClient } from '../client/index.ts';
import { Asker } from './ask.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { Output } from './output.ts';

/** What a command works with. */
export interface Context {
  readonly output: Output;
  readonly asker: Asker;
}

/** Exit code; nothing means done. */
export type Outcome = number | undefined;

/**
 * Gives `command` its --json option and its action: errors become words or JSON and an exit code, questions are
 * closed at the end.
 */
export function does<Options extends object>(
  command: Command,
  action: (context: Context, options: Options, ...words: (string | undefined)[]) => Promise<Outcome>,
): Command {
  return command
    .option('--json', 'results and errors as JSON on stdout, progress as JSON lines on stderr')
    .action(async () => {
      const options = command.optsWithGlobals<Options & { json?: true }>();
      const context: Context = { output: new Output(options.json === true), asker: new Asker() };
      try {
        process.exitCode = (await action(context, options, ...command.processedArgs)) ?? exitCodes.ok;
      } catch (thrown) {
        context.output.error(thrown);
        process.exitCode = exitCodeOf(thrown);
      } finally {
        context.asker.close();
      }
    });
}

/** Runs `use` with a connection that is closed afterwards. */
export async function withEngine<T>(use: (engine: EngineClient) => Promise<T>): Promise<T> {
  const engine = await connectEngine();
  try {
    return await use(engine);
  } finally {
    engine.close();
  }
}

/** A command that asks the engine once and shows the answer. */
export function asks<Options extends object, Answer>(
  command: Command,
  ask: (engine: EngineClient, options: Options, ...words: (string | undefined)[]) => Promise<Answer>,
  words: (answer: Answer, context: Context) => string,
): Command {
  return does<Options>(command, async (context, options, ...given) => {
    const answer = await withEngine((engine) => ask(engine, options, ...given));
    context.output.result(answer, () => words(answer, context));
    return exitCodes.ok;
  });
}
