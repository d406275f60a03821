import type { Page } from '@playwright/test';
import { expect, openView, test } from './fixture.ts';
import { awayPlace, status, stayAway, suggestion, tower, visitor, vmUuid, work } from './samples.ts';
import { arrive } from './script.ts';

/** Tabs on until this has the focus, as somebody without a mouse does. */
async function tabTo(page: Page, role: 'button' | 'link' | 'switch' | 'textbox', name: string | RegExp): Promise<void> {
  const wanted = page.getByRole(role, { name, exact: true });
  await expect(wanted).toBeVisible();
  const focused = wanted.and(page.locator(':focus'));
  for (let press = 0; press < 60; press += 1) {
    if ((await focused.count()) > 0) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never reached ${role} ${String(name)}.`);
}

async function pressOn(page: Page, role: 'button' | 'link' | 'switch', name: string | RegExp): Promise<void> {
  await tabTo(page, role, name);
  await page.keyboard.press(role === 'switch' ? 'Space' : 'Enter');
}

test('first run, by keyboard alone: find, pair, make ready, offload, bring home', async ({ page, shellWith }) => {
  const shell = await shellWith(
    status({ hosts: [], vms: [work({ state: 'shutoff', adopted: false, level: 'off' })], decisions: [] }),
  );
  await openView(page, shell);

  await pressOn(page, 'link', 'Look for hosts');
  await expect(page.getByText('Looking for hosts on this network…')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Hosts', level: 1 })).toBeFocused();
  shell.tellStatus({ hosts: [tower({ paired: false })] });
  await pressOn(page, 'button', 'Pair with tower');
  await expect(page.getByRole('alertdialog')).toContainText('481 516');
  await pressOn(page, 'button', 'Yes, the same code');
  await expect(page.getByText('Paired with tower.')).toBeVisible();
  await expect(page.getByRole('alertdialog')).toBeHidden();

  await pressOn(page, 'link', 'Overview');
  await pressOn(page, 'link', 'Make work ready');
  await pressOn(page, 'button', 'Make ready: work');
  await expect(page.getByText('Nothing stands in the way of a smooth move.')).toBeVisible();

  await pressOn(page, 'link', 'Overview');
  await expect(page.getByText('Start the VM to move it.')).toBeVisible();
  shell.tellStatus({ vms: shell.status.vms.map((vm) => ({ ...vm, state: 'running' })) });
  await pressOn(page, 'button', 'Offload to tower: work');
  await expect(page.getByRole('progressbar')).toBeVisible();
  arrive(shell);
  const there = page.getByRole('region', { name: 'tower' });
  await expect(there.getByRole('article', { name: 'work' })).toBeVisible();

  await pressOn(page, 'button', 'Bring home: work');
  await expect(page.getByRole('progressbar')).toBeVisible();
  arrive(shell);
  await expect(page.getByRole('region', { name: /^Home/ }).getByRole('article', { name: 'work' })).toBeVisible();

  await pressOn(page, 'link', 'Moves');
  await expect(page.getByText('work now runs at tower.')).toBeVisible();
  await expect(page.getByText('work now runs at home.')).toBeVisible();
});

test('a host that lost its pairings is paired again, without giving up the pairing that is left', async ({
  page,
  shellWith,
}) => {
  const lost = tower({ reachable: false, obstacle: 'tower does not know this laptop.', mayPairAnew: true });
  await openView(page, await shellWith(status({ hosts: [lost] })), 'hosts');
  await expect(page.getByRole('button', { name: 'Revoke the pairing with tower' })).toBeVisible();
  await pressOn(page, 'button', 'Pair again with tower');
  await expect(page.getByRole('alertdialog')).toContainText('481 516');
});

test('a move is cancelled by keyboard, and says where the VM still runs', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell);
  await pressOn(page, 'button', 'Offload to tower: work');
  await pressOn(page, 'button', 'Cancel: move of work');
  await expect(page.getByRole('button', { name: 'Offload to tower: work' })).toBeVisible();
  const card = page.getByRole('article', { name: 'work' });
  await expect(card).toContainText('The move was cancelled. work still runs at home.');
  await pressOn(page, 'button', 'Dismiss');
  await expect(card).not.toContainText('The move was cancelled.');
  await pressOn(page, 'link', 'Moves');
  await expect(page.getByText('The move was cancelled. work still runs at home.')).toBeVisible();
});

test('"Finish now" is offered while copying; then it is too late to cancel, and the page says so', async ({
  page,
  shellWith,
}) => {
  const shell = await shellWith(status());
  await openView(page, shell);
  await pressOn(page, 'button', 'Offload to tower: work');
  await pressOn(page, 'link', /^Details/);
  await pressOn(page, 'button', 'Finish now');
  await expect(page.getByText('It is too late to cancel.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Cancel' })).toBeHidden();
});

test('a host that cannot take the VM is told before anything starts', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  const { 'move.plan': look } = shell.script;
  shell.script = {
    ...shell.script,
    'move.plan': async (params) => ({
      ...((await look?.(params)) as Awaited<ReturnType<NonNullable<typeof look>>>),
      possible: false,
      obstacles: ['tower has 1 GiB free, and work needs 4 GiB'],
    }),
  };
  await openView(page, shell);
  await pressOn(page, 'button', 'Offload to tower: work');
  await expect(page.getByRole('dialog')).toContainText('Tower has 1 GiB free, and work needs 4 GiB.');
  await pressOn(page, 'button', 'Close');
  expect(shell.paramsOf('move.offload')).toEqual([]);
});

test('how far Homeward may go is chosen in the menu or by the switch, by keyboard', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell);
  await pressOn(page, 'switch', 'Automatic for work');
  await expect.poll(() => shell.paramsOf('vm.setLevel')).toEqual([{ vm: vmUuid, level: 'automatic' }]);
  await tabTo(page, 'button', 'Offload to tower: work');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('menuitemradio', { name: 'By hand only' }).press('Enter');
  await expect.poll(() => shell.paramsOf('vm.setLevel')).toHaveLength(2);
  await expect(page.getByRole('switch', { name: 'Automatic for work' })).not.toBeChecked();
});

test('the figures behind an opinion are unfolded by keyboard, and stay so while it is renewed', async ({
  page,
  shellWith,
}) => {
  const shell = await shellWith(status({ vms: [work({ place: awayPlace })], decisions: [stayAway] }));
  await openView(page, shell);
  const rest = page.getByText('5 min (from 12 earlier runs)');
  await expect(page.getByText(/2\.6 times as fast as it would here/)).toBeVisible();
  await expect(rest).toBeHidden();
  await page.getByText('The figures behind it').press('Enter');
  await expect(rest).toBeVisible();
  const { calculation } = stayAway;
  if (calculation === undefined) throw new Error('It has figures.');
  shell.tellStatus({ decisions: [{ ...stayAway, calculation: { ...calculation, restS: 240 } }] });
  await expect(page.getByText('4 min (from 12 earlier runs)')).toBeVisible();
});

test('"Not now" takes a suggestion away', async ({ page, shellWith }) => {
  const shell = await shellWith(status({ suggestions: [suggestion] }));
  await openView(page, shell);
  await expect(page.getByText(/Suggestion: move work to tower/)).toBeVisible();
  await pressOn(page, 'button', 'Not now for work');
  await expect(page.getByText(/Suggestion: move work to tower/)).toBeHidden();
});

test('a suggestion is declined for ever in the menu, for that host alone', async ({ page, shellWith }) => {
  const shell = await shellWith(status({ suggestions: [suggestion] }));
  await openView(page, shell);
  await page.getByRole('button', { name: 'More about work' }).click();
  await page.getByRole('menuitem', { name: 'Never suggest tower' }).press('Enter');
  await expect.poll(() => shell.paramsOf('suggestion.dismiss')).toEqual([{ vm: vmUuid, forEver: true }]);
  await expect(page.getByText(/Suggestion: move work to tower/)).toBeHidden();
});

test('a pairing begun at another computer asks here, and "No" pairs nothing', async ({ page, shellWith }) => {
  const shell = await shellWith(status({ hosts: [] }));
  await openView(page, shell);
  const asked = {
    id: 'd'.repeat(32),
    role: 'host',
    peerName: 'travel',
    fingerprint: '56'.repeat(32),
    code: '000123',
  } as const;
  shell.script = { ...shell.script, 'pair.pending': () => [asked] };
  shell.tellPairing(asked);
  await expect(page.getByRole('alertdialog')).toContainText('travel wants to let its VMs run on this computer.');
  await pressOn(page, 'button', 'No');
  await expect(page.getByRole('alertdialog')).toBeHidden();
  expect(shell.paramsOf('pair.answer')).toEqual([{ id: asked.id, accept: false }]);
});

test('a visitor is sent home, and limits are kept', async ({ page, shellWith }) => {
  const addresses = [{ address: '192.168.1.20', port: 7420 }];
  const shell = await shellWith(status({ host: { enabled: true, port: 7420, addresses, visitors: [visitor] } }));
  await openView(page, shell, 'hosts');
  await expect(page.getByText('On, at 192.168.1.20:7420. Only paired computers are let in.')).toBeVisible();
  await pressOn(page, 'button', 'Send mail home');
  await expect(page.getByText('No VM of another computer is here.')).toBeVisible();
  await page.getByRole('textbox', { name: 'Most visitors' }).fill('2');
  await page.getByRole('textbox', { name: 'Most visitors' }).press('Tab');
  await pressOn(page, 'button', 'Save limits');
  await expect(page.getByRole('button', { name: 'Save limits' })).toBeHidden();
  expect(shell.paramsOf('host.configure')).toMatchObject([{ maxVisitors: 2, maxVcpus: 8 }]);
});

test('a host is added by address, and revoked only after a question', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell, 'hosts');
  await page.getByRole('textbox', { name: 'Address and port' }).fill('10.0.0.77');
  await pressOn(page, 'button', 'Add');
  await expect(page.getByRole('alert')).toContainText('"10.0.0.77" is not ADDRESS:PORT.');
  await page.getByRole('textbox', { name: 'Address and port' }).fill('10.0.0.77:7420');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('article', { name: '10.0.0.77' })).toBeVisible();
  await pressOn(page, 'button', 'Revoke the pairing with tower');
  await pressOn(page, 'button', 'Keep as it is');
  expect(shell.paramsOf('peers.revoke')).toEqual([]);
  await pressOn(page, 'button', 'Revoke the pairing with tower');
  await pressOn(page, 'button', 'Revoke');
  await expect(page.getByRole('dialog')).toBeHidden();
  expect(shell.paramsOf('peers.revoke')).toHaveLength(1);
});

test('history is narrowed by kind, VM and text, and exported as shown', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell, 'history');
  await expect(page.getByText('25 entries')).toBeVisible();
  await pressOn(page, 'button', /Show/);
  await page.getByRole('option', { name: 'Moves' }).press('Enter');
  await expect(page.getByText('15 of 25 entries')).toBeVisible();
  await page.getByLabel('Search').fill('idle');
  await expect(page.getByText('5 of 25 entries')).toBeVisible();
  const [saved] = await Promise.all([page.waitForEvent('download'), pressOn(page, 'button', /^Export/)]);
  const text = (await (await saved.createReadStream()).toArray()).join('');
  expect(JSON.parse(text)).toHaveLength(5);
  await page.getByLabel('Search').fill('no such thing');
  await pressOn(page, 'button', 'Show everything');
  await expect(page.getByText('25 entries')).toBeVisible();
});

test('settings are kept as soon as they are changed', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell, 'settings');
  await pressOn(page, 'switch', /^Suggestions/);
  await pressOn(page, 'switch', /lends the memory it does not use/);
  await pressOn(page, 'switch', /Closing the window keeps the tray icon/);
  await page.getByRole('textbox', { name: /^Name/ }).fill('eva-2');
  await pressOn(page, 'button', 'Rename');
  await expect
    .poll(() => shell.paramsOf('preferences.change'))
    .toEqual([{ notify: { suggestions: false } }, { balloon: false }, { closeToTray: false }, { name: 'eva-2' }]);
  await pressOn(page, 'switch', /^The Wi-Fi fades/);
  const lid = page.getByRole('textbox', { name: /^Time to come home before a closed lid/ });
  await lid.fill('2');
  await lid.blur();
  await expect
    .poll(() => shell.paramsOf('preferences.change').slice(4))
    .toEqual([{ departure: { wifi: { on: false } } }, { departure: { lid: { deadlineS: 120 } } }]);
  await pressOn(page, 'switch', /^The lid is closed/);
  await expect(lid).toHaveCount(0);
  const leaving = page.getByRole('form', { name: 'When you usually leave' });
  await leaving.getByRole('textbox').fill('soon');
  await leaving.getByRole('button', { name: 'Save' }).click();
  await expect(leaving.getByText(/cannot be read as times of leaving/)).toBeVisible();
  await leaving.getByRole('textbox').fill('mon-fri 17:30');
  await leaving.getByRole('button', { name: 'Save' }).click();
  await expect(leaving.getByRole('textbox')).toHaveValue('Mon-Fri 17:30');
  expect(shell.paramsOf('preferences.change').at(-1)).toEqual({ leaving: [{ from: 'mon', to: 'fri', at: '17:30' }] });
  await pressOn(page, 'switch', /Start when I log in/);
  await expect(page.getByRole('switch', { name: /Start when I log in/ })).toBeChecked();
});

test('a host is lost: wait for it, or go on from the home disk after reading what that costs', async ({
  page,
  shellWith,
}) => {
  const shell = await shellWith(status({ vms: [work({ place: awayPlace })], hosts: [tower({ reachable: false })] }));
  await openView(page, shell);
  await expect(page.getByText(/work is at tower, which cannot be reached/)).toBeVisible();
  await pressOn(page, 'button', 'Bring home when it can be reached: work');
  await expect(page.getByText(/work comes home by itself as soon as it can/)).toBeVisible();
  await pressOn(page, 'button', 'Let it stay there: work');
  await expect(page.getByText(/work comes home by itself/)).toBeHidden();

  await pressOn(page, 'button', 'Restart here from its disk: work');
  await expect(page.getByRole('dialog')).toContainText('Everything it has in memory since then is lost');
  await pressOn(page, 'button', 'Keep as it is');
  expect(shell.paramsOf('vm.restartHere')).toEqual([]);
  await pressOn(page, 'button', 'Restart here from its disk: work');
  await pressOn(page, 'button', 'Restart here');
  await expect(page.getByRole('region', { name: /^Home/ }).getByRole('article', { name: 'work' })).toBeVisible();
  expect(shell.paramsOf('vm.restartHere')).toEqual([{ vm: vmUuid, start: true }]);
});

test('a VM that ended away says why, and is started here', async ({ page, shellWith }) => {
  const ended = { why: 'host-restarted', at: '2026-11-20T10:00:00.000Z', hostName: 'tower' } as const;
  const shell = await shellWith(status({ vms: [work({ state: 'shutoff', place: { kind: 'home', ended } })] }));
  await openView(page, shell);
  await expect(page.getByText(/tower was restarted while work was there/)).toBeVisible();
  await pressOn(page, 'button', 'Start here: work');
  await expect(page.getByText(/tower was restarted/)).toBeHidden();
});
