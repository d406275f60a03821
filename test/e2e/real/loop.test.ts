import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Locator, type Page } from '@playwright/test';
import { expect, onTestFinished, test } from 'vitest';
import { connectEngine } from '../../../main/client/index.ts';
import type { Move } from '../../../shared/model/move.ts';
import { moveSummary, pairingView } from '../../../shared/view/index.ts';
import {
  BedEngine,
  type BedHost,
  createBed,
  defineGuest,
  Observer,
  startGuest,
  startLibvirtd,
} from '../../testbed/index.ts';
import { labelsOf, Panel } from '../../unit/shell/private-bus.ts';
import { type Desktop, startDesktop } from '../shell/desktop.ts';

const homeward = fileURLToPath(new URL('../../../bin/homeward.mjs', import.meta.url));
const shots = fileURLToPath(new URL('../shots/', import.meta.url));
const moveTimeoutMs = 120_000;

/** `homeward open` as a user with a desktop runs it; resolves with the address its browser was given. */
async function openHomeward(laptop: BedHost, desktop: Desktop): Promise<string> {
  const addressFile = join(laptop.folder, 'opened');
  const browser = join(laptop.folder, 'browser');
  await writeFile(browser, `#!/bin/sh\nprintf %s "$1" >${addressFile}\n`);
  await chmod(browser, 0o700);
  const env = { DBUS_SESSION_BUS_ADDRESS: desktop.busAddress, BROWSER: `${browser} %s` };
  const { code, stdout, stderr } = await laptop.run('node', [homeward, 'open'], { env, timeoutMs: 60_000 });
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^Homeward opens in your browser: \w.+\.$/m);
  return readFile(addressFile, 'utf8');
}

/** Chromium on the laptop's network, as the user's browser is. */
async function browserOn(laptop: BedHost): Promise<Browser> {
  const program = join(laptop.folder, 'chromium');
  const command = laptop.inNetwork('/usr/bin/chromium');
  await writeFile(program, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`);
  await chmod(program, 0o700);
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
  onTestFinished(() => browser.close());
  return browser;
}

function card(page: Page, place: string | RegExp, vm: string): Locator {
  return page.getByRole('region', { name: place }).getByRole('article', { name: vm });
}

async function keep(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(shots, `real-${name}.png`) });
}

async function textOf(locator: Locator): Promise<string> {
  return (await locator.textContent({ timeout: 30_000 })) ?? '';
}

test('from the first run to a VM that was away and came home, in a real window and by a real tray', {
  timeout: 600_000,
}, async () => {
  const bed = await createBed({ rateMbit: 200 });
  onTestFinished(() => bed.close());
  const { laptop, workstation } = bed;
  const libvirtd = await startLibvirtd(laptop);
  const guest = await defineGuest(laptop, libvirtd, { name: 'worker', memoryMiB: 256 });
  const host = await BedEngine.start(workstation, { hostRole: true });
  onTestFinished(() => host.client.close());
  const desktop = await startDesktop({ ...process.env, XDG_RUNTIME_DIR: laptop.env['XDG_RUNTIME_DIR'] }, false);
  const address = await openHomeward(laptop, desktop);
  const page = await (await browserOn(laptop)).newPage();
  // What it showed last tells most of why a step did not come.
  onTestFinished(() => keep(page, 'last'));
  await page.goto(address);

  // First run: find, pair by code, make ready.
  await page.getByRole('link', { name: /^(Look for hosts|Pair)$/ }).click({ timeout: 30_000 });
  await keep(page, 'first-run');
  await page.getByRole('button', { name: 'Pair with workstation' }).click({ timeout: 60_000 });
  const dialog = page.getByRole('alertdialog');
  const shown = await textOf(dialog);
  const [asked] = await host.client.call('pair.pending', {});
  if (asked === undefined) throw new Error('The workstation shows no code.');
  expect(shown).toContain(pairingView(asked).code);
  await keep(page, 'pairing');
  const answered = host.client.call('pair.answer', { id: asked.id, accept: true });
  await page.getByRole('button', { name: 'Yes, the same code' }).click();
  expect(await answered).toEqual({ paired: true });
  await page.getByText('Paired with workstation.').waitFor();

  await page.getByRole('link', { name: 'Overview', exact: true }).click();
  await page.getByRole('link', { name: 'Make worker ready' }).click({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Make ready: worker' }).click({ timeout: 30_000 });
  await page.getByText('Nothing stands in the way of a smooth move.').waitFor({ timeout: 30_000 });

  await startGuest(libvirtd, guest);
  const observer = new Observer(bed, guest);
  onTestFinished(() => observer.close());
  const counting = setInterval(() => void observer.runningCopies().catch(() => undefined), 500);
  onTestFinished(() => clearInterval(counting));
  await observer.nextBeat({ host: laptop.name, timeoutMs: 90_000 });
  await observer.command('hold 64');
  await observer.command('disk 10');

  // Out and home, by the window.
  await page.getByRole('link', { name: 'Overview', exact: true }).click();
  await page.getByRole('button', { name: 'Offload to workstation: worker' }).click({ timeout: 60_000 });
  // An emulated VM on this QEMU is warned of first.
  await page.getByRole('button', { name: 'Offload anyway' }).click({ timeout: 30_000 });
  await page.getByRole('progressbar').waitFor({ timeout: 30_000 });
  await keep(page, 'moving');
  await card(page, 'workstation', guest.name).waitFor({ timeout: moveTimeoutMs });
  await observer.nextBeat({ host: workstation.name, timeoutMs: 20_000 });
  await page.getByRole('button', { name: 'Bring home: worker' }).waitFor({ timeout: moveTimeoutMs });
  await keep(page, 'away');
  await page.getByRole('button', { name: 'Bring home: worker' }).click();
  await card(page, /^Home/, guest.name).waitFor({ timeout: moveTimeoutMs });
  await observer.nextBeat({ host: laptop.name, timeoutMs: 20_000 });

  // The window, the command line and the engine say the same of both.
  const engine = await connectEngine({ socketFile: join(laptop.env['XDG_RUNTIME_DIR'] ?? '', 'homeward/engine.sock') });
  onTestFinished(() => engine.close());
  const moves = await ended(2);
  expect(moves.map(({ direction, phase }) => [direction, phase])).toEqual([
    ['home', 'done'],
    ['out', 'done'],
  ]);
  await page.getByRole('link', { name: 'History' }).click();
  const { stdout: log } = await laptop.run('node', [homeward, 'log']);
  for (const move of moves) {
    expect(move.totalMs).toBeGreaterThan(0);
    expect(move.wireBytes).toBeGreaterThan(1024 * 1024);
    await page.getByText(moveSummary(move)).waitFor();
    expect(log).toContain(moveSummary(move));
  }
  await keep(page, 'history');

  // Out again, by the menu of the icon in the real panel.
  const panel = await Panel.beside(desktop.busAddress);
  expect(labelsOf(await panel.menu())).toEqual(expect.arrayContaining(['worker: running here', 'Offload now']));
  await desktop.keep('real-tray-home');
  await page.getByRole('link', { name: 'Overview', exact: true }).click();
  await panel.click('Offload now', 'workstation');
  await expect.poll(() => panel.menu().then(labelsOf), { timeout: moveTimeoutMs }).toContain('Bring home');
  await card(page, 'workstation', guest.name).waitFor({ timeout: 10_000 });
  await observer.nextBeat({ host: workstation.name, timeoutMs: 20_000 });
  await desktop.keep('real-tray-away');

  // The engine is killed: the window says so, starts another, and has lost nothing. The VM goes on.
  const { pid } = await engine.call('engine.status', {});
  const killed = performance.now();
  await laptop.run('kill', ['-KILL', String(pid)]);
  await page.getByText('The engine is not running.').waitFor({ timeout: 5_000 });
  expect(performance.now() - killed).toBeLessThan(5_000);
  await keep(page, 'engine-killed');
  await page.getByRole('button', { name: 'Start the engine' }).click();
  await page.getByText('The engine is not running.').waitFor({ state: 'hidden', timeout: 60_000 });
  await observer.nextBeat({ host: workstation.name, timeoutMs: 20_000 });

  await expect.poll(() => panel.find('Bring home').then(({ enabled }) => enabled), { timeout: 60_000 }).toBe(true);
  await panel.click('Bring home');
  await card(page, /^Home/, guest.name).waitFor({ timeout: moveTimeoutMs });
  await observer.nextBeat({ host: laptop.name, timeoutMs: 20_000 });
  expect(await observer.report()).toMatchObject({ disk_errors: 0, hold_errors: 0 });
  expect(observer.maxRunningCopies).toBe(1);

  async function ended(count: number): Promise<Move[]> {
    let found: Move[] = [];
    await expect
      .poll(
        async () => {
          const entries = await engine.call('log.list', { limit: 100 });
          found = entries.flatMap((entry) => (entry.kind === 'move' && entry.move.endedAt ? [entry.move] : []));
          return found.length;
        },
        { timeout: 30_000 },
      )
      .toBe(count);
    return found;
  }
});
