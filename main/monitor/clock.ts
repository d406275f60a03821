/** Time as the monitor needs it; injected, so that tests have their own. */
export interface Clock {
  /** Epoch milliseconds: may jump. */
  now(): number;
  /** Milliseconds since some fixed moment: never jumps. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};
