import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { BedHost } from './host.ts';
import { allProcesses } from './processes.ts';

/** A QEMU that has the guest: running it, waiting for it to arrive, or done with it. */
export interface GuestProcess {
  readonly pid: number;
  /** Name of the host it is on. */
  readonly host: string;
}

/** Every QEMU of the guest in the bed, inside sandboxes too. */
export function guestProcesses(hosts: readonly BedHost[], uuid: string): readonly GuestProcess[] {
  const all = allProcesses();
  const qemus = [...all.values()].filter(
    ({ args }) => args[0]?.includes('qemu-system') === true && args[args.indexOf('-uuid') + 1] === uuid,
  );
  if (qemus.length === 0) return [];
  return hosts.flatMap((host) => host.processes(all, qemus).map(({ pid }) => ({ pid, host: host.name })));
}

/**
 * A line-wise connection to a UNIX socket of a QEMU, reached through that process's own root folder
 * (/proc/PID/root), so that it does not matter which sandbox it lives in. Tries until the socket is there.
 */
export class LineSocket {
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(qemu: GuestProcess, path: string, onLine: (line: string) => void) {
    this.#path = `/proc/${qemu.pid}/root${path}`;
    this.#onLine = onLine;
    this.#connect();
  }

  write(line: string): void {
    this.#socket?.write(line);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    // Both report a failure, which the close that follows tells as well.
    socket.on('error', () => {});
    createInterface({ input: socket })
      .on('line', this.#onLine)
      .on('error', () => {});
    socket.on('close', () => {
      if (!this.#closed) this.#retry = setTimeout(() => this.#connect(), 20);
    });
  }
}
