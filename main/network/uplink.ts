import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { announceResolver } from './dhcp.ts';
import { FrameReader } from './frames.ts';
import type { Uplink } from './hub.ts';

const firstRetryMs = 200;
const maxRetryMs = 5_000;
/** Up for this long, and the next retry is quick again. */
const steadyMs = 10_000;
/** Characters of passt's last words to keep. */
const maxWords = 1_000;

/**
 * The guest's network as it is at home, wherever the laptop is: the addresses QEMU's own user network
 * has, so that a guest that had that one notices nothing.
 */
const guest = { address: '10.0.2.15', prefixBits: '24', gateway: '10.0.2.2', resolver: '10.0.2.3' };

export interface UplinkOptions {
  readonly onFrames: (pieces: readonly Buffer[]) => void;
  readonly log: (line: string) => void;
}

interface Opened {
  readonly stream: Duplex;
  /** Called once the stream is closed; resolves when nothing of it is left. */
  readonly dispose: () => Promise<void>;
}

/** An uplink that is opened again whenever it ends, for ever. */
export class LastingUplink implements Uplink {
  readonly #open: () => Opened;
  readonly #options: UplinkOptions;
  #current: Opened | undefined;
  #retryMs = firstRetryMs;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(open: () => Opened, options: UplinkOptions) {
    this.#open = open;
    this.#options = options;
    this.#connect();
  }

  get stream(): Duplex | undefined {
    return this.#current?.stream;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#current?.stream.destroy();
    await this.#current?.dispose();
  }

  #connect(): void {
    const opened = this.#open();
    const since = performance.now();
    const reader = new FrameReader();
    this.#current = opened;
    opened.stream.on('data', (chunk: Buffer) => {
      try {
        this.#options.onFrames(reader.read(chunk));
      } catch (error) {
        this.#options.log(`the uplink spoke no frames: ${String(error)}`);
        opened.stream.destroy();
      }
    });
    opened.stream.on('error', (error) => this.#options.log(`the uplink failed: ${error.message}`));
    opened.stream.on('end', () => opened.stream.destroy());
    opened.stream.on('close', () => {
      this.#current = undefined;
      void opened.dispose();
      if (this.#closed) return;
      this.#retryMs = performance.now() - since > steadyMs ? firstRetryMs : Math.min(this.#retryMs * 2, maxRetryMs);
      this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
    });
  }
}

/**
 * passt(1) as a child on a socket pair: no path anybody else could open, and it ends when the relay does.
 * Without a network it ends at once and is tried again: the guest's cable is then unplugged, so to say.
 * The gateway is not mapped to this machine's loopback, which is no business of a guest that is away.
 */
export function passtUplink(options: UplinkOptions): LastingUplink {
  const resolver = guest.resolver.split('.').map(Number);
  const onFrames = (pieces: readonly Buffer[]) => {
    for (const piece of pieces) announceResolver(piece, resolver);
    options.onFrames(pieces);
  };
  let said = '';
  return new LastingUplink(
    () => {
      const args = ['--foreground', '--quiet', '--fd', '3', '--ipv4-only', '--no-map-gw'];
      args.push('--address', guest.address, '--netmask', guest.prefixBits, '--gateway', guest.gateway);
      args.push('--dns-forward', guest.resolver);
      const child = spawn('passt', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
      const stream = child.stdio[3];
      if (!stream || !('write' in stream)) throw new Error('no socket pair');
      let words = '';
      child.stderr?.on('data', (data: Buffer) => {
        words = (words + data.toString()).slice(-maxWords);
      });
      child.on('error', (error) => {
        words = error.message;
      });
      const ended = new Promise<void>((resolve) => {
        child.once('close', (code, signal) => {
          const message = `passt ended (${signal ?? code}): ${lastWords(words)}`;
          // It may be tried for days on a machine without a network: say it once.
          if (message !== said) options.log(message);
          said = message;
          // The pair's other end closes with passt, but a child that never ran leaves it open.
          stream.destroy();
          resolve();
        });
      });
      const dispose = () => {
        child.kill();
        return ended;
      };
      return { stream: stream as Duplex, dispose };
    },
    { ...options, onFrames },
  );
}

/** passt complains of a missing syslog after each line it says. */
function lastWords(words: string): string {
  const lines = words.split('\n').filter((line) => line !== '' && !line.includes('syslog'));
  return lines.slice(-2).join(' ');
}
