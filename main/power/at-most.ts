/** Waits for `work`, though no longer than that; it goes on all the same. @throws what the work throws in time */
export async function atMost(limitMs: number, work: Promise<void>): Promise<void> {
  const tooLate = Promise.withResolvers<void>();
  const timer = setTimeout(tooLate.resolve, limitMs);
  try {
    await Promise.race([work, tooLate.promise]);
  } finally {
    clearTimeout(timer);
  }
}
