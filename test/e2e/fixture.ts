import { AxeBuilder } from '@axe-core/playwright';
import { test as base, expect, type Page } from '@playwright/test';
import type { Status } from '../../shared/rpc.ts';
import { sample } from './samples.ts';
import { livelyShell } from './script.ts';
import type { ScriptedShell } from './scripted-shell.ts';

interface Fixtures {
  /** Opens a shell with this status; closed when the test ends. */
  readonly shellWith: (status: Status) => Promise<ScriptedShell>;
  /** What the page complained about: anything the content security policy refused, errors in scripts. */
  readonly complaints: string[];
}

export const test = base.extend<Fixtures>({
  shellWith: async ({ browserName: _browserName }, use) => {
    const open: ScriptedShell[] = [];
    await use(async (status) => {
      const shell = livelyShell(status);
      open.push(shell);
      await shell.open();
      return shell;
    });
    await Promise.all(open.map((shell) => shell.close()));
  },
  complaints: [
    async ({ context }, use) => {
      const complaints: string[] = [];
      context.on('console', (message) => {
        // A socket that a test cut off is no fault of the page.
        if (message.type() === 'error' && !/WebSocket/.test(message.text())) complaints.push(message.text());
      });
      context.on('weberror', (error) => complaints.push(String(error.error())));
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Opens a view and fills its charts with two minutes, in as few updates as draw a curve. */
export async function openView(page: Page, shell: ScriptedShell, view = 'overview'): Promise<void> {
  await page.goto(`${shell.address}#/${view}`);
  await expect(page.locator('.view-head').getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.locator('.charts-wait')).toHaveCount(0);
  fillCharts(shell);
}

function fillCharts(shell: ScriptedShell): void {
  for (let second = 0; second < 120; second += 3) {
    shell.tellStatus({
      vms: shell.status.vms.map((vm) =>
        vm.sample === undefined ? vm : { ...vm, sample: sample(second, { vcpus: vm.vcpus }) },
      ),
    });
  }
}

export async function expectAccessible(page: Page): Promise<void> {
  await expectNoViolation(new AxeBuilder({ page }));
}

/** The one rule whose answer depends on the colours: for a page already examined in the other scheme. */
export async function expectContrast(page: Page): Promise<void> {
  await expectNoViolation(new AxeBuilder({ page }).withRules(['color-contrast']));
}

async function expectNoViolation(builder: AxeBuilder): Promise<void> {
  const { violations } = await builder.analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
}

/** The whole page, for people to look at. */
export async function takeShot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `test/e2e/shots/${name}.png`, fullPage: true, animations: 'disabled' });
}

/** No part of the page is wider than the window. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const content = await page.evaluate<number>('document.documentElement.scrollWidth');
  const window = await page.evaluate<number>('document.documentElement.clientWidth');
  expect(content).toBeLessThanOrEqual(window);
}
