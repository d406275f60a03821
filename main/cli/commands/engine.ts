import type { Command } from 'commander';
import { HomewardError } from '../../../shared/errors.ts';
import {
  connectEngine,
  engineCommand,
  engineLogFile,
  isNoEngine,
  pause,
  startEngine,
  statusOfEngine,
} from '../../client/index.ts';
import { does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';

/** A move under way is left as it is, so there is little to tidy up. */
const stopTimeoutMs = 15_000;

export function addEngine(program: Command): void {
  const engine = program
    .command('engine')
    .description('run the engine, which all other commands talk to')
    .addHelpText(
      'after',
      `
Without --detach it runs in the foreground and writes its log to stderr; HOMEWARD_LOG=debug makes it say more.
Stopping it changes nothing for a VM: one that is away stays there and comes home with the next engine.

Examples:
  homeward engine --detach
  homeward engine stop`,
    );
  does<{ detach?: true; host?: true }>(
    engine
      .option('-d, --detach', 'run it in the background and return when it is ready')
      .option('--host', 'let VMs of your other computers run here as long as it runs'),
    async ({ output }, { detach, host = false }) => (detach === true ? detached(output, host) : foreground(host)),
  );
  does(engine.command('stop').description('stop it'), async ({ output }) => stop(output));
}

/** The engine takes this process's place: its signals, its exit code. */
async function foreground(host: boolean): Promise<Outcome> {
  const running = await statusOfEngine();
  if (running !== undefined) {
    throw new HomewardError('engine-running', `An engine is already running for this user (process ${running.pid}).`, {
      hint: 'Use it, or stop it first: homeward engine stop',
    });
  }
  if (process.execve === undefined) throw new HomewardError('internal', 'This Node cannot replace its own process.');
  const { args, env } = engineCommand({ host });
  return process.execve(process.execPath, [process.execPath, ...args], env);
}

async function detached(output: Output, host: boolean): Promise<Outcome> {
  const running = await statusOfEngine();
  if (running !== undefined) {
    const becomesHost = host && !running.host.enabled;
    // How it was started cannot be changed any more, what it is set to can.
    if (becomesHost) await withEngine((engine) => engine.call('host.configure', { enabled: true }));
    output.result({ started: false, pid: running.pid }, () =>
      [
        `The engine is running already: process ${running.pid}.`,
        ...(becomesHost ? ['This computer takes visitors from now on; end that with: homeward host off'] : []),
      ].join('\n'),
    );
    return exitCodes.ok;
  }
  const { child, status } = await startEngine({ host });
  child.unref();
  output.result(
    { started: true, pid: status.pid, log: engineLogFile() },
    () => `The engine is running: process ${status.pid}. Its log: ${engineLogFile()}`,
  );
  return exitCodes.ok;
}

async function stop(output: Output): Promise<Outcome> {
  const engine = await connectEngine();
  try {
    await engine.call('engine.stop', {}).catch((error: unknown) => {
      // One that is gone before it could answer is what was asked for.
      if (!isNoEngine(error)) throw error;
    });
    const waited = new AbortController();
    const ended = await Promise.race([
      engine.closed.then(() => true),
      pause(stopTimeoutMs, waited.signal).then(() => false),
    ]);
    waited.abort();
    if (!ended) throw new HomewardError('timeout', `The engine has not ended within ${stopTimeoutMs / 1_000} s.`);
  } finally {
    engine.close();
  }
  output.result({ stopped: true }, () => 'The engine is stopped.');
  return exitCodes.ok;
}
