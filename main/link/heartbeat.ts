export interface HeartbeatOptions {
  readonly everyMs: number;
  /** Beats in a row without a byte received, and the other end counts as gone. */
  readonly misses: number;
  /** A figure that grows whenever something is received. */
  readonly received: () => number;
  readonly onBeat?: () => void;
  readonly onLost: () => void;
}

/**
 * Watches whether the other end still says anything. Beats are counted, not time: after a sleep or a long pause
 * of this process one beat is late, however long it took, and the other end gets its full chance again.
 */
export function startHeartbeat({ everyMs, misses, received, onBeat, onLost }: HeartbeatOptions): () => void {
  let missed = 0;
  let before = received();
  const timer = setInterval(() => {
    const now = received();
    missed = now === before ? missed + 1 : 0;
    before = now;
    if (missed < misses) {
      onBeat?.();
      return;
    }
    clearInterval(timer);
    onLost();
  }, everyMs);
  return () => clearInterval(timer);
}
