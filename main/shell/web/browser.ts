import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pause } from '../../client/index.ts';

/** A browser that has not failed by then is taken to have opened. */
const failsWithinMs = 3_000;

/** Opens `address` in the user's browser: $BROWSER, else the desktop's. False where none could be opened. */
export async function openBrowser(address: string): Promise<boolean> {
  for (const [program, ...args] of commands(process.env)) {
    if (program !== undefined && (await opens(program, withAddress(args, address)))) return true;
  }
  return false;
}

/** $BROWSER is a list of commands with colons between them, `%s` standing for the address. */
function commands(env: NodeJS.ProcessEnv): string[][] {
  const chosen = (env['BROWSER'] ?? '')
    .split(':')
    .map((command) => command.split(/\s+/).filter((word) => word !== ''))
    .filter((words) => words.length > 0);
  if (chosen.length > 0) return chosen;
  // Without a display xdg-open would start a browser for terminals in the log.
  const display = env['WAYLAND_DISPLAY'] ?? env['DISPLAY'] ?? '';
  return display === '' ? [] : [['xdg-open']];
}

function withAddress(args: readonly string[], address: string): string[] {
  return args.includes('%s') ? args.map((arg) => (arg === '%s' ? address : arg)) : [...args, address];
}

async function opens(program: string, args: readonly string[]): Promise<boolean> {
  // Its words would land in our log, with the address among them.
  const child: ChildProcess = spawn(program, args, { detached: true, stdio: 'ignore' });
  child.unref();
  const waited = new AbortController();
  const failed = once(child, 'exit').then(
    ([code]) => code !== 0,
    () => true,
  );
  const result = await Promise.race([failed, pause(failsWithinMs, waited.signal).then(() => false)]);
  waited.abort();
  return !result;
}
