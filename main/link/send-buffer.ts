import type { Socket } from 'node:net';
import koffi from 'koffi';

/**
 * Bytes the kernel may hold of a migration before they reach the network (SO_SNDBUF, socket(7); it keeps twice as much
 * for its own needs). Left to itself TCP queues a tenth of a second and more, and a guest that waits for one page
 * in post-copy waits behind all of it. This is still enough for 100 MB/s over a round trip of 2 ms.
 */
const sendBufferBytes = 128 * 1024;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;

const setsockopt = koffi
  .load('libc.so.6')
  .func('int setsockopt(int fd, int level, int name, const int *value, uint32_t length)');

/** Node offers no such call, nor a public way to the descriptor; where that way is gone the queue stays long. */
export function keepQueueShort(socket: Socket): void {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: unknown } };
  const fd = handle?.fd;
  if (typeof fd === 'number' && fd >= 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, [sendBufferBytes], 4);
}
