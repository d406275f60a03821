import type { Duplex } from 'node:stream';
import { FrameReader } from './frames.ts';

/** A receiver that has this much waiting gets no more; Ethernet may drop, memory may not grow. */
const maxQueuedBytes = 256 * 1024;
/** How long the uplink is held back for slow ports before their frames are dropped instead. */
const holdMs = 500;
/** A guest has one NIC here; during a move it is plugged in twice, and a broken connection may linger. */
const maxPorts = 4;

/** Where the guest's frames go: passt at home, the link at the workstation. May come and go. */
export interface Uplink {
  /** Undefined while it is down. */
  readonly stream: Duplex | undefined;
}

interface Port {
  readonly stream: Duplex;
  /** It did not take frames for so long that the others need not wait for it. */
  stalled: boolean;
}

/**
 * The wire between one guest NIC and its uplink. What the uplink says goes to every port, what a port
 * says goes to the uplink: during a move both QEMUs are plugged in, and only the one that runs speaks.
 */
export class FrameHub {
  readonly #uplink: Uplink;
  readonly #log: (line: string) => void;
  readonly #ports = new Set<Port>();
  #hold: NodeJS.Timeout | undefined;

  constructor(uplink: Uplink, log: (line: string) => void) {
    this.#uplink = uplink;
    this.#log = log;
  }

  /** How many QEMUs are plugged in. */
  get plugged(): number {
    return this.#ports.size;
  }

  plug(stream: Duplex): void {
    const [oldest] = this.#ports;
    if (oldest && this.#ports.size >= maxPorts) {
      this.#ports.delete(oldest);
      oldest.stream.destroy();
    }
    const port: Port = { stream, stalled: false };
    this.#ports.add(port);
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => this.#fromPort(port, reader, chunk));
    stream.on('drain', () => {
      port.stalled = false;
      this.#release();
    });
    stream.on('error', (error) => this.#log(`a port failed: ${error.message}`));
    stream.on('close', () => {
      this.#ports.delete(port);
      this.#release();
    });
    stream.on('end', () => stream.destroy());
  }

  /** Called with each frame from the uplink. */
  fromUplink(pieces: readonly Buffer[]): void {
    for (const { stream } of this.#ports) {
      stream.cork();
      for (const piece of pieces) {
        if (stream.writableLength < maxQueuedBytes) stream.write(piece);
      }
      stream.uncork();
    }
    this.#holdBack();
  }

  #fromPort(port: Port, reader: FrameReader, chunk: Buffer): void {
    let pieces: Buffer[];
    try {
      pieces = reader.read(chunk);
    } catch (error) {
      this.#log(`a port spoke no frames: ${String(error)}`);
      port.stream.destroy();
      return;
    }
    const up = this.#uplink.stream;
    if (!up || pieces.length === 0) return;
    up.cork();
    for (const piece of pieces) {
      if (up.writableLength < maxQueuedBytes) up.write(piece);
    }
    up.uncork();
    if (up.writableLength < maxQueuedBytes / 2) return;
    port.stream.pause();
    const resume = () => {
      up.off('drain', resume);
      up.off('close', resume);
      port.stream.resume();
    };
    up.once('drain', resume);
    up.once('close', resume);
  }

  /** While no port can take more, the uplink waits a moment: better than dropping, for whoever sends. */
  #holdBack(): void {
    const waiting = [...this.#ports].filter(({ stalled }) => !stalled);
    if (this.#hold || waiting.length === 0) return;
    if (waiting.some(({ stream }) => stream.writableLength < maxQueuedBytes / 2)) return;
    this.#uplink.stream?.pause();
    this.#hold = setTimeout(() => {
      for (const port of waiting) port.stalled = port.stream.writableNeedDrain;
      this.#release();
    }, holdMs);
  }

  #release(): void {
    clearTimeout(this.#hold);
    this.#hold = undefined;
    this.#uplink.stream?.resume();
  }
}
