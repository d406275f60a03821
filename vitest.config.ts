import { defineConfig } from 'vitest/config';

/**
 * Rings that boot virtual machines run one file at a time: two cores carry one bed, not two. They start what a user
 * starts, which is built first.
 */
const onReal = {
  fileParallelism: false,
  testTimeout: 180_000,
  hookTimeout: 180_000,
  // Two emulated machines on two cores now and then miss a deadline; what passed at the second try is printed as such.
  retry: 1,
  globalSetup: 'scripts/build.mjs',
};

export default defineConfig({
  test: {
    projects: [
      // Against hanging only: properties and real processes take their time on a busy machine.
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 30_000,
          expect: { poll: { timeout: 10_000 } },
        },
      },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...onReal } },
      // Real displays, panels and browsers, one at a time.
      {
        test: {
          name: 'desktop',
          include: ['test/e2e/{real,shell}/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 90_000,
          hookTimeout: 90_000,
          expect: { poll: { timeout: 30_000 } },
          globalSetup: 'scripts/build.mjs',
        },
      },
      { test: { name: 'fault', include: ['test/fault/**/*.test.ts'], ...onReal } },
    ],
  },
});
