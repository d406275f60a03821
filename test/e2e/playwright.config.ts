import { defineConfig } from '@playwright/test';

/** The window in a real browser, which the system brings along; nothing is downloaded. */
export default defineConfig({
  testDir: '.',
  // What runs under Vitest lies beside it: shell/ and real/.
  testMatch: '*.spec.ts',
  outputDir: '../../node_modules/.cache/e2e',
  // Two cores are shared with whatever else runs.
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  use: {
    viewport: { width: 1280, height: 860 },
    launchOptions: {
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--hide-scrollbars'],
    },
  },
});
