import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from '@playwright/test';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { status } from '../../unit/cli/samples.ts';
import { bed } from '../../unit/shell/web-shell-bed.ts';

/** Stands for the window: says what it hears over its socket, and tries what it must not be able to do. */
const script = `
const socket = new WebSocket('ws://' + location.host + '/socket');
window.heard = [];
socket.onmessage = ({ data }) => {
  window.heard.push(JSON.parse(data));
  document.title = window.heard.length + ' lines';
};
`;
const html = `<!doctype html><title>window</title><link rel="stylesheet" href="./w.css">
<script>document.documentElement.dataset.inline = 'ran';</script><script src="./w.js"></script>`;

let browser: Browser;
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
afterAll(() => browser.close());

async function opened(view: 'overview' | 'settings'): Promise<{ readonly page: Page; readonly address: string }> {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', 'unix:path=/nonexistent/bus');
  const made = await bed();
  await mkdir(made.windowFolder, { recursive: true });
  await writeFile(join(made.windowFolder, 'index.html'), html);
  await writeFile(join(made.windowFolder, 'w.js'), script);
  await writeFile(join(made.windowFolder, 'w.css'), 'html { color: rgb(1, 2, 3); }');
  await made.shell.open(view);
  const address = made.opened[0] ?? '';
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(address);
  await page.waitForURL((url) => url.pathname === '/');
  return { page, address };
}

test('the browser gets in by its address, once, and hears the engine', async () => {
  const { page, address } = await opened('overview');
  await expect.poll(() => page.title()).toMatch(/^[2-9] lines$/);
  const heard = await page.evaluate(() => Reflect.get(globalThis, 'heard') as { readonly method: string }[]);
  expect(heard.map(({ method }) => method)).toEqual(expect.arrayContaining(['engine', 'status']));
  expect(JSON.stringify(heard)).toContain(status().name);
  const second = await page.context().newPage();
  await second.goto(address);
  await second.getByText('This address was used already').waitFor();
});

test('the token is in no address any more, not in history either, and no script can read the session', async () => {
  const { page, address } = await opened('overview');
  const token = new URLSearchParams(new URL(address).hash.slice(1)).get('t') ?? 'none';
  expect(page.url()).not.toContain(token);
  expect(await page.evaluate<string>('document.cookie')).toBe('');
  // What came before is the empty page the tab began with.
  await page.goBack();
  expect(page.url()).toBe('about:blank');
});

test('the view that was asked for is what the window is told', async () => {
  const { page } = await opened('settings');
  expect(new URL(page.url()).hash).toBe('#/settings');
});

test('the policy holds in a real browser: no inline script, nothing from elsewhere, own style and socket', async () => {
  const { page } = await opened('overview');
  await expect.poll(() => page.title()).toMatch(/lines$/);
  const root = page.locator('html');
  expect(await root.getAttribute('data-inline')).toBeNull();
  expect(await page.evaluate<string>('getComputedStyle(document.documentElement).color')).toBe('rgb(1, 2, 3)');
  const elsewhere = await page.evaluate(() => fetch('http://127.0.0.1:1/').then(String, String));
  expect(elsewhere).toContain('TypeError');
});

test('another site can neither read the window nor open its socket, even with the session in the browser', async () => {
  const { page } = await opened('overview');
  const { host, origin } = new URL(page.url());
  const evil = await page.context().newPage();
  await evil.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: 'evil' }));
  await evil.goto('http://evil.example/');
  expect(
    await evil.evaluate((address) => fetch(address, { credentials: 'include' }).then(String, String), origin),
  ).toContain('TypeError');
  const socket = await evil.evaluate(
    (address) =>
      new Promise<string>((resolve) => {
        const tried = new WebSocket(address);
        tried.onopen = () => resolve('open');
        tried.onerror = () => resolve('refused');
      }),
    `ws://${host}/socket`,
  );
  expect(socket).toBe('refused');
});
