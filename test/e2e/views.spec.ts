import type { Page } from '@playwright/test';
import type { Status } from '../../shared/rpc.ts';
import { expect, expectAccessible, expectContrast, openView, takeShot, test } from './fixture.ts';
import {
  arrived,
  awayPlace,
  copying,
  otherUuid,
  plan,
  sample,
  shed,
  status,
  stayAway,
  suggestion,
  tower,
  visitor,
  vmUuid,
  work,
} from './samples.ts';
import { pairing } from './script.ts';
import type { ScriptedShell } from './scripted-shell.ts';

interface Scene {
  readonly name: string;
  readonly view?: string;
  readonly status: Status;
  /** Before the page opens. */
  readonly set?: (shell: ScriptedShell) => void;
  /** Brings the page to where it is looked at. */
  readonly reach?: (page: Page, shell: ScriptedShell) => Promise<void>;
}

const benchmark = {
  cpuSingleOpsPerSec: 2_400_000,
  memcpyBytesPerSec: 11_000_000_000,
  diskWriteBytesPerSec: 900_000_000,
  linkOutBytesPerSec: 112_000_000,
  linkHomeBytesPerSec: 110_000_000,
  takenAt: '2026-11-20T10:00:00.000Z',
};
const away = work({ place: awayPlace });
const build = work({ uuid: otherUuid, name: 'build', vcpus: 4, level: 'automatic', sample: sample(120, { vcpus: 4 }) });
const postcopy = copying({
  mode: 'postcopy',
  phase: 'postcopy',
  cancellable: false,
  phases: [...copying().phases, { name: 'copying', ms: 6_200 }],
});
const busyTower = tower({ benchmark, traffic: { outBytesPerSec: 108_000_000, homeBytesPerSec: 1_200_000 } });

const scenes: readonly Scene[] = [
  {
    name: 'overview-first-run',
    status: status({ hosts: [], vms: [work({ adopted: false, level: 'off' })], decisions: [] }),
  },
  { name: 'overview-no-vm', status: status({ vms: [], decisions: [] }) },
  {
    name: 'overview-suggestion',
    status: status({ vms: [work(), build], suggestions: [suggestion], hosts: [tower(), shed({ paired: false })] }),
  },
  { name: 'overview-moving', status: status({ vms: [work(), build], moves: [copying()], hosts: [busyTower] }) },
  {
    name: 'overview-away',
    status: status({
      vms: [away, build],
      hosts: [busyTower, shed()],
      decisions: [stayAway],
    }),
    reach: async (page) => {
      await page.getByText('The figures behind it').click();
      await expect(page.getByText('2.60 × home')).toBeVisible();
    },
  },
  {
    name: 'overview-out-of-reach',
    status: status({ vms: [away], hosts: [tower({ reachable: false, facts: undefined, roundTripMs: undefined })] }),
  },
  { name: 'moves-none', view: 'moves', status: status() },
  { name: 'moves-copying', view: 'moves', status: status({ moves: [copying()], hosts: [busyTower] }) },
  { name: 'moves-postcopy', view: 'moves', status: status({ moves: [postcopy], hosts: [busyTower] }) },
  {
    name: 'moves-ended',
    view: 'moves',
    status: status(),
    reach: async (page, shell) => {
      shell.tellMove(arrived());
      shell.tellMove(
        arrived({
          id: '2'.repeat(32),
          vmName: 'build',
          phase: 'failed',
          failure: 'tower has no memory left for it',
          phases: copying().phases,
        }),
      );
      await expect(page.getByText('build was not moved')).toBeVisible();
    },
  },
  {
    name: 'history',
    view: 'history',
    status: status(),
    reach: (page) => expect(page.getByText('25 entries')).toBeVisible(),
  },
  {
    name: 'history-empty',
    view: 'history',
    status: status(),
    set: (shell) => {
      shell.script = { ...shell.script, 'log.list': () => [] };
    },
    reach: (page) => expect(page.getByText('Nothing has happened yet')).toBeVisible(),
  },
  {
    name: 'hosts',
    view: 'hosts',
    status: status({
      hosts: [
        busyTower,
        shed({ paired: false }),
        shed({
          fingerprint: 'ef'.repeat(32),
          name: 'attic',
          reachable: false,
          obstacle: 'attic runs QEMU 8.1.0, which loses memory on the way',
        }),
        shed({
          fingerprint: '9a'.repeat(32),
          name: 'garage',
          reachable: false,
          obstacle: 'The workstation does not know this laptop (any more).',
          mayPairAnew: true,
        }),
      ],
      host: {
        enabled: true,
        port: 7420,
        addresses: [
          { address: '192.168.1.20', port: 7420 },
          { address: '10.8.0.4', port: 7420 },
        ],
        visitors: [visitor],
      },
    }),
    reach: (page) => expect(page.getByRole('button', { name: 'Send mail home' })).toBeVisible(),
  },
  {
    name: 'hosts-none',
    view: 'hosts',
    status: status({ hosts: [] }),
    reach: (page) => expect(page.getByRole('textbox', { name: 'Most visitors' })).toBeVisible(),
  },
  {
    name: 'pairing',
    view: 'hosts',
    status: status({ hosts: [tower({ paired: false })] }),
    reach: async (page, shell) => {
      shell.script = { ...shell.script, 'pair.pending': () => [pairing] };
      shell.tellPairing(pairing);
      await expect(page.getByText('481 516')).toBeVisible();
    },
  },
  {
    name: 'plan',
    status: status(),
    set: (shell) => {
      shell.script = {
        ...shell.script,
        'move.plan': () =>
          plan({
            warnings: ['its open connections end, since its network card is not one of Homeward’s'],
            postcopy: false,
            postcopyObstacle: 'the kernel of tower keeps userfaultfd for the administrator',
          }),
      };
    },
    reach: async (page) => {
      await page.getByRole('button', { name: 'Offload to tower: work' }).click();
      await expect(page.getByRole('button', { name: 'Offload anyway' })).toBeVisible();
    },
  },
  {
    name: 'menu',
    status: status({ hosts: [tower(), shed()] }),
    reach: async (page) => {
      await page.getByRole('button', { name: 'More about work' }).click();
      await expect(page.getByRole('menuitem', { name: 'Offload to shed' })).toBeVisible();
    },
  },
  {
    name: 'ready-preview',
    view: `ready/${vmUuid}`,
    status: status({ vms: [work({ adopted: false, state: 'shutoff', sample: undefined })] }),
    reach: (page) => expect(page.getByRole('button', { name: 'Make ready: work' })).toBeVisible(),
  },
  {
    name: 'ready-done',
    view: `ready/${vmUuid}`,
    status: status({ vms: [work({ obstacles: ['the change of its disk waits for the next start'] })] }),
  },
  {
    name: 'doctor',
    view: 'doctor',
    status: status(),
    reach: (page) => expect(page.getByText('1 problem to solve.')).toBeVisible(),
  },
  { name: 'settings', view: 'settings', status: status() },
  {
    name: 'engine-gone',
    status: status({ vms: [away, build] }),
    reach: async (page, shell) => {
      shell.setEngine('gone');
      await expect(page.getByRole('button', { name: 'Start the engine' })).toBeVisible();
    },
  },
  {
    name: 'refused',
    status: status(),
    set: (shell) => {
      const { 'move.plan': _gone, ...rest } = shell.script;
      shell.script = rest;
    },
    reach: async (page) => {
      await page.getByRole('button', { name: 'Offload to tower: work' }).click();
      await expect(page.getByRole('alert')).toContainText('move.plan is not in the script.');
    },
  },
];

for (const scene of scenes) {
  test(`${scene.name} can be read by everybody, in light and dark`, async ({ page, shellWith }) => {
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    const shell = await shellWith(scene.status);
    scene.set?.(shell);
    await openView(page, shell, scene.view);
    await scene.reach?.(page, shell);
    await expectAccessible(page);
    await takeShot(page, `${scene.name}-light`);
    await page.emulateMedia({ colorScheme: 'dark' });
    await expectContrast(page);
    await takeShot(page, `${scene.name}-dark`);
  });
}

test('no style or script of its own making is put into the page', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell);
  await page.getByRole('button', { name: 'More about work' }).click();
  await expect(page.getByRole('menu')).toBeVisible();
  expect(await page.locator('style').count()).toBe(0);
});
