import { expect, openView, test } from './fixture.ts';
import { awayPlace, status, work } from './samples.ts';

test('an engine that goes away is told at once, and its return puts all right', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  await openView(page, shell);
  const offload = page.getByRole('button', { name: 'Offload to tower: work' });
  await expect(offload).toBeEnabled();
  shell.setEngine('gone');
  await expect(page.getByText('Your VMs go on where they are')).toBeVisible();
  await expect(offload).toBeDisabled();
  // What happened meanwhile.
  shell.tellStatus({ vms: [work({ place: awayPlace })] });
  shell.setEngine('up');
  await expect(page.getByText('Your VMs go on where they are')).toBeHidden();
  await expect(page.getByRole('button', { name: 'Bring home: work' })).toBeEnabled();
});

test('"Start the engine" starts it', async ({ page, shellWith }) => {
  const shell = await shellWith(status());
  shell.setEngine('gone');
  await page.goto(shell.address);
  await expect(page.getByText('Nothing to show yet')).toBeVisible();
  await page.getByRole('button', { name: 'Start the engine' }).click();
  await expect(page.getByRole('article', { name: 'work' })).toBeVisible();
  expect(shell.paramsOf('shell.startEngine')).toEqual([{}]);
});

test('a shell that goes away is told at once; the window finds it again and asks everything anew', async ({
  page,
  shellWith,
}) => {
  const shell = await shellWith(status());
  await openView(page, shell, 'history');
  await expect(page.getByText('25 entries')).toBeVisible();
  await shell.close();
  await expect(page.getByText('This window has lost its connection to Homeward.')).toBeVisible();
  shell.tellStatus({ vms: [work({ name: 'renamed' })] });
  shell.script = {
    ...shell.script,
    'log.list': () => [{ kind: 'event', at: '2026-11-20T10:00:00.000Z', text: 'something new' }],
  };
  await shell.open();
  await expect(page.getByText('This window has lost its connection to Homeward.')).toBeHidden();
  await expect(page.getByText('Something new.')).toBeVisible();
  await page.getByRole('link', { name: 'Overview' }).click();
  await expect(page.getByRole('article', { name: 'renamed' })).toBeVisible();
});

test('two windows agree', async ({ context, shellWith }) => {
  const shell = await shellWith(status());
  const one = await context.newPage();
  const other = await context.newPage();
  await openView(one, shell);
  await openView(other, shell);
  await one.getByRole('button', { name: 'Offload to tower: work' }).click();
  await expect(other.getByRole('progressbar')).toBeVisible();
  await other.getByRole('button', { name: 'Cancel: move of work' }).click();
  await expect(one.getByRole('button', { name: 'Offload to tower: work' })).toBeVisible();
});

test('a pairing answered in one window is gone in the other', async ({ context, shellWith }) => {
  const shell = await shellWith(status({ hosts: status().hosts.map((host) => ({ ...host, paired: false })) }));
  const one = await context.newPage();
  const other = await context.newPage();
  await openView(one, shell, 'hosts');
  await openView(other, shell);
  await one.getByRole('button', { name: 'Pair with tower' }).click();
  await expect(other.getByRole('alertdialog')).toContainText('481 516');
  await one.getByRole('button', { name: 'Yes, the same code' }).click();
  await expect(one.getByRole('alertdialog')).toBeHidden();
  await expect(other.getByRole('alertdialog')).toBeHidden();
});

/** What an Electron preload does, here over the socket: lines come and go, and the page sees no connection. */
const lineBridge = `
  const socket = new WebSocket(new URL('/socket', location.href.replace('http', 'ws')));
  const early = [];
  const listeners = [];
  socket.onopen = () => early.splice(0).forEach((line) => socket.send(line));
  socket.onmessage = ({ data }) => listeners.forEach((hear) => hear(data));
  window.homeward = {
    send: (line) => (socket.readyState === WebSocket.OPEN ? socket.send(line) : early.push(line)),
    onLine: (listener) => listeners.push(listener),
  };
`;

test('the same page speaks over a bridge of lines where its shell gives it one', async ({ page, shellWith }) => {
  await page.addInitScript({ content: lineBridge });
  const shell = await shellWith(status());
  await openView(page, shell);
  await page.getByRole('button', { name: 'Offload to tower: work' }).click();
  await expect(page.getByRole('progressbar')).toBeVisible();
  shell.setEngine('gone');
  await expect(page.getByRole('button', { name: 'Start the engine' })).toBeVisible();
});
