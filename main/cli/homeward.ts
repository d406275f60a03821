import { Command, CommanderError } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { HomewardError } from '../../shared/errors.ts';
import { addEngine } from './commands/engine.ts';
import { addHost } from './commands/host.ts';
import { addHosts } from './commands/hosts.ts';
import { addLog } from './commands/log.ts';
import { addMoves } from './commands/moves.ts';
import { addOpen } from './commands/open.ts';
import { addPair } from './commands/pair.ts';
import { addPolicy } from './commands/policy.ts';
import { addRestart } from './commands/restart.ts';
import { addSettings } from './commands/settings.ts';
import { addStatus } from './commands/status.ts';
import { addVms } from './commands/vms.ts';
import { exitCodes, exitCodesHelp } from './exit-codes.ts';
import { endWithReader, Output } from './output.ts';

endWithReader();

const json = process.argv.includes('--json');

const program = new Command('homeward')
  .description(pkg.description)
  .version(pkg.version, '-V, --version')
  .showHelpAfterError('(see --help)')
  .configureOutput({
    // Told once, below, as JSON.
    outputError: (text, write) => {
      if (!json) write(text.replace(/^error: /, 'homeward: '));
    },
  })
  .exitOverride()
  .addHelpText(
    'after',
    `
Getting started:
  on the workstation:  homeward host
  on the laptop:       homeward engine --detach
                       homeward pair              lists hosts; then: homeward pair NAME
                       homeward adopt VM          makes a VM ready
                       homeward offload VM        and later: homeward home VM
  or in a window:      homeward open

With --json each command writes its result, or {"error":{"code","message","hint"}}, as one line of JSON to stdout;
progress and questions go to stderr.
${exitCodesHelp}`,
  );

// In the order in which help lists them; each inherits what was configured above.
const adders = [
  addStatus,
  addOpen,
  addVms,
  addPolicy,
  addMoves,
  addRestart,
  addHosts,
  addPair,
  addHost,
  addLog,
  addSettings,
  addEngine,
];
for (const add of adders) add(program);

try {
  await program.parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  const helpWasAsked = thrown.exitCode === 0;
  if (json && !helpWasAsked) {
    const message = thrown.message.replace(/^error: /, '');
    new Output(true).error(new HomewardError('bad-input', message, { hint: 'See: homeward --help' }));
  }
  process.exitCode = helpWasAsked ? exitCodes.ok : exitCodes.badInput;
}
