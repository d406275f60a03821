import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectEngine, type EngineClient } from '../../main/client/index.ts';
import type { Settings } from '../../main/engine/settings.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Decision, Status } from '../../shared/rpc.ts';
import type { BedHost, BedProcess } from './host.ts';

/** What a user starts. */
export const homeward = fileURLToPath(new URL('../../bin/homeward.mjs', import.meta.url));
const startDeadlineMs = 20_000;

export interface BedEngineOptions {
  readonly hostRole?: boolean;
  /** What its user has chosen before, where not the defaults. */
  readonly settings?: Partial<Settings>;
  /** Added to the host's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another Homeward than this one: its bin/homeward.mjs. */
  readonly program?: string;
}

/** A real engine on one of the bed's hosts, and the test's own shell to it. */
export class BedEngine {
  readonly host: BedHost;
  readonly process: BedProcess;
  readonly client: EngineClient;
  readonly #log: string[];
  readonly moves: Move[] = [];
  readonly decisions: Decision[] = [];

  static async start(host: BedHost, options: BedEngineOptions = {}): Promise<BedEngine> {
    const log: string[] = [];
    if (options.settings !== undefined) await writeSettings(host, options.settings);
    const args = [options.program ?? homeward, 'engine', ...(options.hostRole === true ? ['--host'] : [])];
    const process = await host.spawn('node', args, options.env === undefined ? {} : { env: options.env });
    process.child.stderr?.on('data', (chunk: Buffer) => log.push(chunk.toString()));
    process.child.stdout?.resume();
    // A crash in native code leaves no word of its own.
    void process.exited.then(({ code, signal }) => log.push(`(the engine’s process has ended: ${signal ?? code})\n`));
    const socketFile = join(host.env['XDG_RUNTIME_DIR'] ?? '', 'homeward/engine.sock');
    const moves: Move[] = [];
    const decisions: Decision[] = [];
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      try {
        const client = await connectEngine({
          socketFile,
          listeners: { move: (move) => moves.push(move), decision: (decision) => decisions.push(decision) },
        });
        return new BedEngine(host, process, client, log, moves, decisions);
      } catch (thrown) {
        if (performance.now() > deadline || process.child.exitCode !== null) {
          process.kill('SIGKILL');
          throw new Error(`The engine on ${host.name} did not start: ${log.join('').slice(-4_000)}`, { cause: thrown });
        }
        await sleep(50);
      }
    }
  }

  private constructor(
    host: BedHost,
    process: BedProcess,
    client: EngineClient,
    log: string[],
    moves: Move[],
    decisions: Decision[],
  ) {
    this.host = host;
    this.process = process;
    this.client = client;
    this.#log = log;
    this.moves = moves;
    this.decisions = decisions;
  }

  get log(): string {
    return this.#log.join('');
  }

  /** As a crash would: no goodbye. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
    this.client.close();
  }

  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.process.exited;
    this.client.close();
  }

  status(): Promise<Status> {
    return this.client.call('engine.status', {});
  }

  async vm(key: string): Promise<Vm> {
    const vm = (await this.client.call('vms.list', {})).find(({ name, uuid }) => name === key || uuid === key);
    if (vm === undefined) throw new Error(`The engine does not list ${key}.`);
    return vm;
  }

  /** Resolves with what `look` gives once it gives something; polls, since tests must not trust events alone. */
  async until<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    let cause: unknown;
    for (;;) {
      const found = await look().catch((thrown: unknown) => {
        cause = thrown;
        return undefined;
      });
      if (found !== undefined) return found;
      if (performance.now() > deadline)
        throw new Error(`Waited in vain for ${what}.\n${this.log.slice(-3_000)}`, { cause });
      await sleep(100);
    }
  }

  async movesEnded(timeoutMs: number): Promise<void> {
    await this.until('the moves under way to end', timeoutMs, async () =>
      (await this.status()).moves.length === 0 ? true : undefined,
    );
  }

  /** Asks for a move, once the one before has tidied up after itself, and waits for its end, whatever it is. */
  async move(direction: 'out' | 'home', vm: string, timeoutMs = 120_000): Promise<Move> {
    await this.movesEnded(timeoutMs);
    const { id } = await (direction === 'out'
      ? this.client.call('move.offload', { vm })
      : this.client.call('move.home', { vm }));
    return this.client.call('move.wait', { id }, { timeoutMs });
  }
}

/** Both people look at their screens, see the same code and say yes. Resolves when the link is up. */
export async function pairEngines(laptop: BedEngine, workstation: BedEngine): Promise<void> {
  const hostName = await laptop.until('the workstation to be found', 30_000, async () => {
    const [found] = (await laptop.client.call('hosts.list', {})).filter(({ found: how }) => how === 'mdns');
    return found?.fingerprint;
  });
  const mine = await laptop.client.call('pair.start', { host: hostName });
  const theirs = await workstation.until('the pairing to show', 10_000, async () => {
    const [pending] = await workstation.client.call('pair.pending', {});
    return pending;
  });
  if (mine.code !== theirs.code) throw new Error(`The codes differ: ${mine.code} and ${theirs.code}.`);
  const answers = await Promise.all([
    laptop.client.call('pair.answer', { id: mine.id, accept: true }),
    workstation.client.call('pair.answer', { id: theirs.id, accept: true }),
  ]);
  if (!answers.every(({ paired }) => paired)) throw new Error('The pairing was not accepted.');
  await laptop.until('the link to come up', 20_000, async () => {
    const [host] = await laptop.client.call('hosts.list', {});
    return host?.reachable === true && host.facts !== undefined ? true : undefined;
  });
}

/** Where an engine on that host keeps what it has to remember. */
export function stateFolder(host: BedHost): string {
  return join(host.env['XDG_STATE_HOME'] ?? '', 'homeward');
}

async function writeSettings(host: BedHost, settings: Partial<Settings>): Promise<void> {
  const folder = join(host.env['XDG_CONFIG_HOME'] ?? '', 'homeward');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
}
