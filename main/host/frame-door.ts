import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrameReader } from '../network/index.ts';

/** Frames that wait for a slow link; beyond it they are dropped, as on any cable. */
const mostWaitingBytes = 1024 * 1024;
/** Between two attempts to reach home's end of the NIC. */
const openAgainMs = 200;

/**
 * Carries a guest's frames to home over one stream after another. QEMU's socket NIC does not dial twice, so what a
 * stream's end means to the guest is a cable that is out for a while: frames are lost, never cut in two.
 */
export async function carryFrames(
  guest: Duplex,
  open: (signal: AbortSignal) => Promise<Duplex>,
  signal: AbortSignal,
): Promise<void> {
  let home: Duplex | undefined;
  const fromGuest = new FrameReader();
  guest.on('data', (chunk: Buffer) => {
    try {
      for (const frame of fromGuest.read(chunk)) {
        if (home?.writable && home.writableLength < mostWaitingBytes) home.write(frame);
      }
    } catch {
      // Not QEMU's framing: nothing behind this can be understood any more.
      guest.destroy();
    }
  });
  guest.once('close', () => home?.destroy());
  while (!signal.aborted) {
    home = await open(signal);
    await toGuest(home, guest);
    home = undefined;
    if (!signal.aborted) await sleep(openAgainMs);
  }
}

/** Resolves when `home` has closed. */
function toGuest(home: Duplex, guest: Duplex): Promise<void> {
  const reader = new FrameReader();
  const resume = (): void => void home.resume();
  home.on('data', (chunk: Buffer) => {
    try {
      for (const frame of reader.read(chunk)) if (guest.writable && !guest.write(frame)) home.pause();
    } catch {
      home.destroy();
    }
  });
  guest.on('drain', resume);
  home.on('error', () => undefined);
  home.once('end', () => home.destroy());
  return new Promise((resolve) => {
    const over = (): void => {
      guest.off('drain', resume);
      resolve();
    };
    if (home.closed) over();
    else home.once('close', over);
  });
}
