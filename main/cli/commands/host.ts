import { Argument, type Command } from 'commander';
import type { HostSettings, Pairing, Status } from '../../../shared/rpc.ts';
import { count, formatBytes, formatDuration, pastVisitLine, reachedAt, visitLine } from '../../../shared/view/index.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { connectEngine, type EngineClient, startEngine, statusOfEngine } from '../../client/index.ts';
import { findVisit, parseLease, parseSize, parseWhole } from '../choose.ts';
import { asks, type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { onInterrupts } from '../interrupts.ts';
import { compareCode, personTimeoutMs } from './pair.ts';

interface HostOptions {
  readonly port?: string;
  readonly maxVisitors?: string;
  readonly maxMemory?: string;
  readonly maxVcpus?: string;
  readonly lease?: string;
}

export function addHost(program: Command): void {
  const host = program.command('host').description('let VMs of your other computers run on this one');
  does<HostOptions>(
    host
      .addArgument(
        new Argument('[what]', 'on, off or status; without it: be a host until Ctrl-C and ask about pairings').choices([
          'on',
          'off',
          'status',
        ]),
      )
      .option('--port <port>', 'TCP port to listen on; 0: any free one')
      .option('--max-visitors <number>', 'most VMs at a time')
      .option('--max-memory <size>', 'most memory they may take together, e.g. 8G')
      .option('--max-vcpus <number>', 'most virtual CPUs they may have together')
      .option('--lease <time>', 'how long to keep a VM whose computer is not heard from, e.g. 7d or 12h')
      .addHelpText(
        'after',
        `
Limits are kept until they are changed. With "off" no new VM is let in.
Without a word it starts the engine if it is not running and stops that one again at Ctrl-C; visiting VMs run on.

Examples:
  homeward host
  homeward host on --max-visitors 2 --max-memory 8G
  homeward host status --json
  homeward host send-home work`,
      ),
    async (context, options, what) => {
      const limits = limitsOf(options);
      if (what === undefined) return beHost(context, limits);
      return withEngine(async (engine) => {
        const settings =
          what === 'status'
            ? await engine.call('host.settings', {})
            : await engine.call('host.configure', { ...limits, enabled: what === 'on' });
        const { host } = await engine.call('engine.status', {});
        context.output.result({ settings, ...host }, () => hostWords(settings, host, Date.now()));
        return exitCodes.ok;
      });
    },
  );
  asks(
    host
      .command('send-home')
      .description('ask the computer that a visiting VM belongs to, to bring it home')
      .argument('<visitor>', 'name of the VM, or the visit from "homeward host status --json"')
      .addHelpText(
        'after',
        '\nThe VM goes on running while it moves. Its computer has to be on and connected.' +
          '\n\nExample:\n  homeward host send-home work',
      ),
    (engine, _options, key = '') => sendHome(engine, key),
    ({ vmName }) => `${vmName}'s computer was asked to bring it home. See how it goes with: homeward host status`,
  );
}

async function sendHome(engine: EngineClient, key: string): Promise<VisitInfo> {
  const { host } = await engine.call('engine.status', {});
  const visit = findVisit(host.visitors, key);
  await engine.call('visit.sendHome', { visit: visit.visit });
  return visit;
}

function limitsOf(options: HostOptions): Partial<HostSettings> {
  return {
    ...(options.port === undefined ? {} : { port: parseWhole(options.port, '--port', 0, 65_535) }),
    ...(options.maxVisitors === undefined
      ? {}
      : { maxVisitors: parseWhole(options.maxVisitors, '--max-visitors', 0, 64) }),
    ...(options.maxMemory === undefined ? {} : { maxMemoryBytes: parseSize(options.maxMemory) }),
    ...(options.maxVcpus === undefined ? {} : { maxVcpus: parseWhole(options.maxVcpus, '--max-vcpus', 1, 4_096) }),
    ...(options.lease === undefined ? {} : { leaseHours: parseLease(options.lease) }),
  };
}

function hostWords(settings: HostSettings, host: Status['host'], nowMs: number): string {
  const limits = `${count(settings.maxVisitors, 'visitor')}, ${formatBytes(settings.maxMemoryBytes)}, ${count(settings.maxVcpus, 'vCPU')} at most; one whose computer is silent is kept for ${formatDuration(settings.leaseHours * 3_600_000)}`;
  const state = host.enabled
    ? `This computer takes visitors${placeWords(host)}: ${limits}.`
    : `This computer takes no visitors. Limits when it does: ${limits}.`;
  return [
    state,
    ...host.visitors.map((visit) => `  ${visitLine(visit, nowMs)}`),
    ...(host.past ?? []).map((visit) => `  ${pastVisitLine(visit, nowMs)}`),
  ].join('\n');
}

function placeWords(host: Status['host']): string {
  const place = reachedAt(host);
  if (place !== undefined) return ` at ${place}`;
  return host.port === undefined ? '' : ` on port ${host.port}`;
}

async function beHost(context: Context, limits: Partial<HostSettings>): Promise<Outcome> {
  const { output } = context;
  const started = (await statusOfEngine()) === undefined ? await startEngine({ host: true }) : undefined;
  const pairings = new PairingQueue();
  const visitors = new VisitorNews(context);
  const engine = await connectEngine({
    listeners: { pairing: (pairing) => pairings.add(pairing), status: (status) => visitors.update(status) },
  });
  let interrupted = false;
  const stopListening = onInterrupts(() => {
    interrupted = true;
    // A question nobody answers any more counts as a no.
    context.asker.close();
    pairings.close();
  });
  void engine.closed.then(() => pairings.close());
  try {
    // An engine of our own is a host by how it was started; one that is there already has to be told.
    const changes = started === undefined ? { ...limits, enabled: true } : limits;
    const settings = await engine.call('host.configure', changes);
    const status = await engine.call('engine.status', {});
    visitors.update(status);
    output.result(
      { event: 'ready', name: status.name, fingerprint: status.fingerprint, settings, ...status.host },
      () =>
        `${hostWords(settings, status.host, Date.now())}\nPair with ${status.name} from your laptop: homeward pair ${status.name}`,
    );
    output.note('Ctrl-C ends this.');
    for (const pairing of await engine.call('pair.pending', {})) pairings.add(pairing);
    for (let next = await pairings.next(); next !== undefined; next = await pairings.next()) {
      await answer(context, engine, next);
    }
    if (!interrupted) {
      output.note('The engine has ended.');
      return exitCodes.noEngine;
    }
    if (started !== undefined) {
      output.note('\nStopping the engine.');
      await engine.call('engine.stop', {});
      await engine.closed;
    } else {
      output.note('\nThis computer stays a host; end that with: homeward host off');
    }
    return exitCodes.interrupted;
  } finally {
    stopListening();
    engine.close();
    started?.child.unref();
  }
}

/** With --json pairings are told, not answered: another program asks its user and calls the engine. */
async function answer(context: Context, engine: EngineClient, pairing: Pairing): Promise<void> {
  const { output } = context;
  if (output.json) {
    output.result({ event: 'pairing', pairing }, () => '');
    return;
  }
  const accept = await compareCode(context, pairing);
  try {
    const { paired } = await engine.call('pair.answer', { id: pairing.id, accept }, { timeoutMs: personTimeoutMs });
    output.note(paired ? `Paired with ${pairing.peerName}.` : `Not paired with ${pairing.peerName}.`);
  } catch (error) {
    // One that failed must not keep the next laptop from pairing.
    output.error(error);
  }
}

/** Pairings one after another: two codes on the screen at once would be mixed up. */
class PairingQueue {
  readonly #seen = new Set<string>();
  readonly #waiting: Pairing[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  /** The laptop's own pairings are answered where they were begun. */
  add(pairing: Pairing): void {
    if (pairing.role !== 'host' || this.#seen.has(pairing.id)) return;
    this.#seen.add(pairing.id);
    this.#waiting.push(pairing);
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Undefined once closed. */
  async next(): Promise<Pairing | undefined> {
    while (!this.#closed && this.#waiting.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#closed ? undefined : this.#waiting.shift();
  }
}

/** Says who comes and goes. */
class VisitorNews {
  readonly #context: Context;
  readonly #states = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  update({ host }: Status): void {
    const { output } = this.#context;
    for (const visit of host.visitors) {
      if (this.#states.get(visit.visit) === visit.state) continue;
      this.#states.set(visit.visit, visit.state);
      output.note(visitLine(visit, Date.now()));
      output.event({ event: 'visit', visit });
    }
    for (const visit of this.#states.keys()) {
      if (!host.visitors.some((candidate) => candidate.visit === visit)) this.#states.delete(visit);
    }
  }
}
