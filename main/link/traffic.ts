import type { Duplex } from 'node:stream';
import type { StreamHello, WantedStream } from '../../shared/wire.ts';

/** What a connection of the link carries. */
export type TrafficKind = 'control' | Exclude<StreamHello['kind'], 'answer'> | WantedStream['kind'];

/** Payload through TLS since the link was made, as this end sees it. */
export interface TrafficCount {
  readonly kind: TrafficKind;
  readonly visit: string | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

interface Counted extends Duplex {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Counts by kind and visit, over connections open and closed. */
export class Traffic {
  readonly #open = new Map<Counted, { kind: TrafficKind; visit: string | undefined }>();
  readonly #closed = new Map<string, TrafficCount>();

  add(connection: Counted, kind: TrafficKind, visit?: string): void {
    this.#open.set(connection, { kind, visit });
    connection.once('close', () => {
      this.#open.delete(connection);
      addTo(this.#closed, countOf(connection, kind, visit));
    });
  }

  counts(): readonly TrafficCount[] {
    const sums = new Map(this.#closed);
    for (const [connection, { kind, visit }] of this.#open) addTo(sums, countOf(connection, kind, visit));
    return [...sums.values()];
  }

  /** Grows whenever the other end has said anything on any connection: the sign of life. */
  receivedBytes(): number {
    return this.counts().reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
  }
}

function countOf(connection: Counted, kind: TrafficKind, visit: string | undefined): TrafficCount {
  return { kind, visit, sentBytes: connection.bytesWritten, receivedBytes: connection.bytesRead };
}

function addTo(sums: Map<string, TrafficCount>, count: TrafficCount): void {
  const key = `${count.kind} ${count.visit ?? ''}`;
  const before = sums.get(key);
  sums.set(key, {
    ...count,
    sentBytes: count.sentBytes + (before?.sentBytes ?? 0),
    receivedBytes: count.receivedBytes + (before?.receivedBytes ?? 0),
  });
}
