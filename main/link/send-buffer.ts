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
/** Of those, not yet handed to the network (TCP_NOTSENT_LOWAT, tcp(7)): what waits here, nothing overtakes. */
const unsentBytes = 16 * 1024;
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

const setsockopt = koffi
  .load('libc.so.6')
  .func('int setsockopt(int fd, int level, int name, const int *value, uint32_t length)');

/** Node offers no such call, nor a public way to the descriptor; where that way is gone the queue stays long. */
export function keepQueueShort(socket: Socket): void {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: unknown } };
  const fd = handle?.fd;
  if (typeof fd !== 'number' || fd < 0) return;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, [sendBufferBytes], 4);
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, [unsentBytes], 4);
}
