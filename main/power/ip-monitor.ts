import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Network } from '../../shared/model/signal.ts';

const run = promisify(execFile);
const answersWithinMs = 3_000;

const Routes = z.array(z.object({ dev: z.string().regex(/^[^/\s]+$/), metric: z.number().optional() }));

/**
 * The network as the kernel knows it, for a machine without NetworkManager. Says nothing of strength or cost.
 * @throws where ip(8) is not there or does not answer
 */
export async function readRoutes(): Promise<Network> {
  const { stdout } = await run('ip', ['-j', 'route', 'show', 'default'], { timeout: answersWithinMs });
  const [best] = Routes.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout)).toSorted(
    (one, other) => (one.metric ?? 0) - (other.metric ?? 0),
  );
  if (best === undefined) return { primary: 'none', metered: false };
  const device = `/sys/class/net/${best.dev}`;
  if (existsSync(`${device}/wireless`)) return { primary: 'wifi', metered: false };
  // Unreadable while the interface is down.
  const carrier = await readFile(`${device}/carrier`, 'utf8').then(
    (text) => text.trim() === '1',
    () => false,
  );
  return { primary: 'cable', carrier, metered: false };
}

/** Nudges at each change of links, addresses and routes, until it is closed or ip(8) ends. */
export function monitorRoutes(nudge: () => void): () => void {
  const child = spawn('ip', ['monitor', 'link', 'address', 'route'], { stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.on('data', nudge);
  // Without it a change is seen at the next look.
  child.on('error', () => undefined);
  return () => child.kill();
}
