import { expect, expectAccessible, expectNoSidewaysScroll, openView, takeShot, test } from './fixture.ts';
import { awayPlace, copying, longName, otherUuid, shed, status, suggestion, tower, visitor, work } from './samples.ts';

const notReady = '00000000-0000-4000-8000-000000000009';
const crowded = status({
  name: longName,
  vms: [
    work({ name: longName }),
    work({ uuid: otherUuid, name: 'build', place: { ...awayPlace, hostName: longName } }),
    work({ uuid: notReady, name: `other ${longName}`, adopted: false }),
  ],
  hosts: [
    tower({ name: longName }),
    shed({ name: `${longName}-2`, paired: false, obstacle: `${longName} runs an older version` }),
  ],
  moves: [copying({ vmName: longName, hostName: longName })],
  suggestions: [{ ...suggestion, vm: otherUuid, vmName: longName, hostName: longName }],
  host: { enabled: true, port: 7420, visitors: [{ ...visitor, vmName: longName }] },
});

const sizes = [
  { name: '320', width: 320, height: 640 },
  { name: '768', width: 768, height: 1_000 },
  { name: '4k', width: 3_840, height: 2_160 },
];

const views = ['overview', 'moves', 'hosts', 'history', 'doctor', 'settings', `ready/${notReady}`];

for (const view of views) {
  const [title] = view.split('/');
  test(`${title} fits every window from 320 px to 4K, long names and all`, async ({ page, shellWith }) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    const shell = await shellWith(crowded);
    await openView(page, shell, view);
    await expect(page.locator('.loading')).toHaveCount(0);
    for (const { name, width, height } of sizes) {
      await page.setViewportSize({ width, height });
      await expectNoSidewaysScroll(page);
      if (width === 320) await expectAccessible(page);
      await takeShot(page, `${title}-${name}`);
    }
  });
}

test('the code to compare fits a narrow window', async ({ page, shellWith }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  const shell = await shellWith(status({ hosts: [] }));
  const asked = {
    id: 'd'.repeat(32),
    role: 'host',
    peerName: longName,
    fingerprint: '56'.repeat(32),
    code: '000123',
  } as const;
  shell.script = { ...shell.script, 'pair.pending': () => [asked] };
  await openView(page, shell);
  shell.tellPairing(asked);
  await expect(page.getByText('000 123')).toBeInViewport();
  await expectNoSidewaysScroll(page);
  await takeShot(page, 'pairing-320');
});
