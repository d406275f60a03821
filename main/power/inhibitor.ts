import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { findCommand } from '../process/index.ts';
import type { ListedLock } from './logind.ts';

export interface LockKind {
  /** logind's words, with colons between. */
  readonly what: string;
  readonly mode: 'block' | 'delay';
  /** Shown to whoever asks logind who holds what. */
  readonly why: string;
}

export interface InhibitorOptions {
  /** Every lock that logind knows; undefined where it cannot be asked. */
  readonly listed: () => Promise<readonly ListedLock[] | undefined>;
  readonly searchPath?: string | undefined;
}

/** Why logind did not give a lock, for people. */
export interface LockRefusal {
  readonly sentence: string;
  readonly hint: string;
}

export const who = 'Homeward';
const confirmWithinMs = 5_000;
const confirmEveryMs = 50;
const releaseWithinMs = 2_000;

/**
 * One of logind's inhibitor locks, held by a child that reads from us: the lock is a file descriptor, which Node cannot take
 * from a bus. It ends with its child, and the child with the pipe, however this process ends.
 */
export class Inhibitor {
  readonly #kind: LockKind;
  readonly #options: InhibitorOptions;
  #child: ChildProcess | undefined;
  /** The holder as logind knows it; another number than ours has for it where we live in a PID namespace. */
  #pid: number | undefined;
  #onLost: () => void = () => undefined;

  constructor(kind: LockKind, options: InhibitorOptions) {
    this.#kind = kind;
    this.#options = options;
  }

  get held(): boolean {
    return this.#pid !== undefined;
  }

  /** Told when the lock has gone without having been released. */
  onLost(listener: () => void): void {
    this.#onLost = listener;
  }

  /** Resolves when logind lists the lock, or with why it does not. Taken already, it stays so. */
  async take(): Promise<LockRefusal | undefined> {
    if (this.#child !== undefined) return undefined;
    const program = await this.#program();
    if (program === undefined) return noProgram;
    const before = await this.#ours();
    if (before === undefined) return noLogind;
    const { what, mode, why } = this.#kind;
    const args = [`--what=${what}`, `--mode=${mode}`, `--who=${who}`, `--why=${why}`, 'cat'];
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    this.#child = child;
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-1_000);
    });
    // One that could not be started has no exit; writing to one that is gone is no news either.
    child.on('error', () => this.#ended(child));
    child.stdin?.on('error', () => undefined);
    child.on('exit', () => this.#ended(child));
    for (const since = performance.now(); this.#child === child; await pause(confirmEveryMs)) {
      const pid = (await this.#ours())?.find((candidate) => !before.includes(candidate));
      if (pid !== undefined && this.#child === child) {
        this.#pid = pid;
        return undefined;
      }
      if (performance.now() - since > confirmWithinMs) break;
    }
    await this.release();
    return refusal(said);
  }

  /** Whether logind still knows of it: a logind that was started anew may not. */
  async isListed(): Promise<boolean> {
    const pids = await this.#ours();
    return this.#pid !== undefined && (pids === undefined || pids.includes(this.#pid));
  }

  /** Resolves when its holder has ended, and with it the lock. */
  async release(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#pid = undefined;
    if (child === undefined || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.stdin?.end();
    const tooLong = setTimeout(() => child.kill('SIGKILL'), releaseWithinMs);
    await ended;
    clearTimeout(tooLong);
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    const wasHeld = this.held;
    this.#child = undefined;
    this.#pid = undefined;
    if (wasHeld) this.#onLost();
  }

  async #program(): Promise<string | undefined> {
    for (const command of ['systemd-inhibit', 'elogind-inhibit']) {
      const path = await findCommand(command, this.#options.searchPath).catch(() => undefined);
      if (path !== undefined) return path;
    }
    return undefined;
  }

  /** Who holds a lock just like this one. */
  async #ours(): Promise<readonly number[] | undefined> {
    const listed = await this.#options.listed();
    const wanted = this.#kind.what.split(':').toSorted().join(':');
    return listed
      ?.filter((lock) => lock.who === who && lock.mode === this.#kind.mode)
      .filter((lock) => lock.what.split(':').toSorted().join(':') === wanted)
      .map(({ pid }) => pid);
  }
}

const noProgram: LockRefusal = {
  sentence: 'Neither systemd-inhibit nor elogind-inhibit is installed, so closing the lid cannot be held up.',
  hint: 'Bring VMs home before closing the lid.',
};

const noLogind: LockRefusal = {
  sentence: 'logind does not run here, so nobody can be asked to wait when the lid is closed.',
  hint: 'Bring VMs home before closing the lid.',
};

function refusal(said: string): LockRefusal {
  const words = said.trim().replaceAll(/\s+/g, ' ').replace(/\.$/, '').slice(0, 300);
  return {
    sentence: `logind does not let Homeward hold up the lid${words === '' ? '' : `: ${words}`}.`,
    hint: 'Bring VMs home before closing the lid, or allow org.freedesktop.login1.inhibit-handle-lid-switch in polkit.',
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
