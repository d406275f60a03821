/** A wrapper and the terminal may both deliver one Ctrl-C; nobody presses it twice within this time. */
const sameKeyMs = 100;

/** Calls `onInterrupt` at each Ctrl-C, instead of ending the process, until the returned function is called. */
export function onInterrupts(onInterrupt: () => void): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  const listener = (): void => {
    const nowMs = performance.now();
    if (nowMs - lastMs < sameKeyMs) return;
    lastMs = nowMs;
    onInterrupt();
  };
  process.on('SIGINT', listener);
  return () => process.off('SIGINT', listener);
}
