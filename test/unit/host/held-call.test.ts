import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HeldCall } from '../../../main/host/held-call.ts';
import { Carrier } from '../../../main/link/index.ts';

const hourMs = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A libvirtd, the call's end before it, and the laptop's carrier with its client. */
function heldCall() {
  const [libvirtd, end] = duplexPair({ allowHalfOpen: true });
  const [client, local] = duplexPair({ allowHalfOpen: true });
  const [call, laptop] = [new HeldCall(end), new Carrier(local)];
  const join = (): { readonly wire: Duplex; readonly over: Promise<unknown> } => {
    const [wire, far] = duplexPair({ allowHalfOpen: true });
    far.once('close', () => wire.destroy());
    wire.once('close', () => far.destroy());
    return { wire, over: Promise.all([call.attach(wire), laptop.attach(far)]) };
  };
  return { libvirtd, client, join };
}

it('libvirtd hears nothing of a laptop that is out of reach, and the call goes on when it is back', async () => {
  const { libvirtd, client, join } = heldCall();
  const first = join();
  client.write('prepare');
  expect(String((await once(libvirtd, 'data'))[0])).toBe('prepare');
  first.wire.destroy();
  await first.over;
  await vi.advanceTimersByTimeAsync(hourMs - 1_000);
  join();
  await vi.advanceTimersByTimeAsync(hourMs);
  expect(libvirtd.readableEnded).toBe(false);
  client.write('finish');
  expect(String((await once(libvirtd, 'data'))[0])).toBe('finish');
});

it('a laptop that stays away for an hour has given its call up', async () => {
  const { libvirtd, client, join } = heldCall();
  const { wire, over } = join();
  client.write('prepare');
  await once(libvirtd, 'data');
  wire.destroy();
  await over;
  const ended = once(libvirtd.resume(), 'end');
  await vi.advanceTimersByTimeAsync(hourMs + 1_000);
  await ended;
});
