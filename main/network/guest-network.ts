import { mkdir, open, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import {
  type ChildRecord,
  findCommand,
  forgetRecord,
  isAlive,
  readRecord,
  type ServedVm,
  spawnDetached,
  stop,
} from '../process/index.ts';
import { relayCommand } from './relay-config.ts';

export interface GuestNic {
  /** Position among the VM's NICs, from 0. */
  readonly index: number;
  /** Loopback TCP port that the VM's definition names. */
  readonly port: number;
}

export interface GuestNetworkOptions extends ServedVm {
  readonly nics: readonly GuestNic[];
}

const State = z.object({
  wires: z.array(z.object({ index: z.int(), port: z.int(), plugged: z.int(), uplink: z.boolean() })),
});
type State = z.infer<typeof State>;

const startDeadlineMs = 10_000;
const askDeadlineMs = 2_000;
const stopGraceMs = 2_000;

/**
 * A VM's network, which stays at home: a frame relay with passt behind it for each NIC. It outlives the
 * engine; the next engine adopts it. QEMU's socket NIC does not dial again, so the relay is never replaced
 * while a QEMU is plugged in.
 */
export class GuestNetwork {
  readonly vm: string;
  readonly #folder: string;
  readonly #record: ChildRecord;
  readonly #nics: readonly { index: number; port: number }[];

  private constructor(
    vm: string,
    folder: string,
    record: ChildRecord,
    nics: readonly { index: number; port: number }[],
  ) {
    this.vm = vm;
    this.#folder = folder;
    this.#record = record;
    this.#nics = nics;
  }

  /**
   * Adopts the relay that runs, or starts one. One that serves other NICs is replaced when nothing is
   * plugged in, else `vm-busy`. Throws `missing-tool` without passt and `vm-busy` where another program
   * has taken a port.
   */
  static async ensure(options: GuestNetworkOptions): Promise<GuestNetwork> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const running = await GuestNetwork.adopt(options);
    if (running?.serves(options.nics)) return running;
    if (running && (await running.state()).wires.some(({ plugged }) => plugged > 0)) {
      throw new HomewardError('vm-busy', "The VM's network cards were changed while it runs.", {
        hint: 'Shut the VM down first.',
      });
    }
    await running?.stop();
    return GuestNetwork.#start(options);
  }

  /** The relay that an earlier engine started from `folder`, or undefined where none runs. */
  static async adopt(options: { readonly vm: string; readonly folder: string }): Promise<GuestNetwork | undefined> {
    const { vm, folder } = options;
    const record = await readRecord(recordFile(folder));
    if (!record || !(await isAlive(record))) return undefined;
    const { wires } = await askState(folder);
    return new GuestNetwork(vm, folder, record, wires);
  }

  static async #start({ vm, folder, nics, grantUid }: GuestNetworkOptions): Promise<GuestNetwork> {
    await requirePasst();
    for (const { port } of nics) await requireFree(port);
    const uids = [process.getuid?.() ?? 0, ...(grantUid === undefined ? [] : [grantUid])];
    const wires = nics.map(({ index, port }) => ({
      index,
      port,
      visitorSocket: visitorSocket(folder, index),
      uids,
    }));
    await rm(statusSocket(folder), { force: true });
    const record = await spawnDetached({
      ...relayCommand({ wires, statusSocket: statusSocket(folder) }),
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
      logFile: `${folder}/relay.log`,
      recordFile: recordFile(folder),
    });
    try {
      await answering(record, folder);
    } catch (error) {
      await stop(record, { graceMs: stopGraceMs });
      await forgetRecord(recordFile(folder));
      throw error;
    }
    return new GuestNetwork(vm, folder, record, nics);
  }

  /** Loopback TCP ports for the QEMU at home, in order of the NICs. */
  get ports(): readonly number[] {
    return this.#nics.map(({ port }) => port);
  }

  /** UNIX socket for the frames of the visiting QEMU's NIC `nic`; undefined where there is no such NIC. */
  visitorSocket(nic: number): string | undefined {
    return this.#nics.some(({ index }) => index === nic) ? visitorSocket(this.#folder, nic) : undefined;
  }

  /** Whether the relay still runs. */
  alive(): Promise<boolean> {
    return isAlive(this.#record);
  }

  /** Per NIC: how many QEMUs are plugged in, and whether it has an uplink (passt needs a network to start). */
  state(): Promise<State> {
    return askState(this.#folder);
  }

  serves(nics: readonly GuestNic[]): boolean {
    return (
      nics.length === this.#nics.length &&
      nics.every(({ index, port }) => this.#nics.some((one) => one.index === index && one.port === port))
    );
  }

  /** Ends the relay and passt, and with them the guest's open connections. */
  async stop(): Promise<void> {
    await stop(this.#record, { graceMs: stopGraceMs });
    await forgetRecord(recordFile(this.#folder));
    const sockets = [statusSocket(this.#folder), ...this.#nics.map(({ index }) => visitorSocket(this.#folder, index))];
    await Promise.all(sockets.map((path) => rm(path, { force: true })));
  }
}

function recordFile(folder: string): string {
  return `${folder}/relay.json`;
}

function statusSocket(folder: string): string {
  return `${folder}/relay.sock`;
}

function visitorSocket(folder: string, nic: number): string {
  return `${folder}/nic-${nic}.sock`;
}

async function requirePasst(): Promise<void> {
  try {
    await findCommand('passt');
  } catch (cause) {
    throw new HomewardError('missing-tool', 'passt is not installed; it is the network of a VM that may move.', {
      hint: 'Install the package passt. Without it the VM keeps its network card as it is, and a move breaks its open connections.',
      cause,
    });
  }
}

async function requireFree(port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen(port, '127.0.0.1', resolve);
    });
  } catch (cause) {
    throw new HomewardError('vm-busy', `Another program has taken port ${port}, which the VM's network card uses.`, {
      hint: 'End that program, or undo and repeat the adoption to get another port.',
      cause,
    });
  } finally {
    probe.close();
  }
}

async function answering(record: ChildRecord, folder: string): Promise<void> {
  const deadline = performance.now() + startDeadlineMs;
  for (;;) {
    try {
      await askState(folder);
      return;
    } catch (error) {
      if (!(await isAlive(record))) {
        throw new HomewardError('internal', `The frame relay did not start: ${await lastLine(`${folder}/relay.log`)}`, {
          cause: error,
        });
      }
      if (performance.now() >= deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Throws where nobody answers in time. */
async function askState(folder: string): Promise<State> {
  const socket = connect({ path: statusSocket(folder), signal: AbortSignal.timeout(askDeadlineMs) });
  try {
    return State.parse(JSON.parse(await text(socket)));
  } catch (cause) {
    throw new HomewardError('timeout', "The relay of the VM's network does not answer.", { cause });
  } finally {
    socket.destroy();
  }
}

async function lastLine(file: string): Promise<string> {
  const log = await open(file, 'r');
  try {
    const { size } = await log.stat();
    const { buffer, bytesRead } = await log.read(Buffer.alloc(2_048), 0, 2_048, Math.max(0, size - 2_048));
    return buffer.toString('utf8', 0, bytesRead).trim().split('\n').at(-1) ?? '';
  } finally {
    await log.close();
  }
}
