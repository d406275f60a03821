import { defineInterface, type MessageBus } from 'dbus-native';
import { expect, test } from 'vitest';
import { away, ended, host, pairing, preferences, vmUuid } from '../cli/samples.ts';
import { decision } from '../samples.ts';
import { client, privateBus } from './private-bus.ts';
import { bed } from './web-shell-bed.ts';

interface Shown {
  readonly number: number;
  readonly replaces: number;
  readonly title: string;
  readonly body: string;
  readonly actions: readonly string[];
  readonly urgency: unknown;
}

interface Service {
  readonly bus: MessageBus;
  readonly shown: Shown[];
  readonly closed: number[];
  click(number: number, key: string): void;
}

/** A desktop's notification service. */
async function service(busAddress: string): Promise<Service> {
  const bus = client(busAddress);
  const shown: Shown[] = [];
  const closed: number[] = [];
  const definition = defineInterface({
    name: 'org.freedesktop.Notifications',
    methods: {
      GetCapabilities: { out: { capabilities: 'as' }, handler: () => ['body', 'actions', 'body-markup'] },
      Notify: {
        in: { app: 's', replaces: 'u', icon: 's', title: 's', body: 's', actions: 'as', hints: 'a{sv}', expire: 'i' },
        out: { number: 'u' },
        handler: ({ replaces, title, body, actions, hints }) => {
          const number = replaces === 0 ? shown.length + 1 : replaces;
          shown.push({ number, replaces, title, body, actions, urgency: hints.urgency });
          return number;
        },
      },
      CloseNotification: { in: { number: 'u' }, handler: ({ number }) => void closed.push(number) },
    },
    signals: { ActionInvoked: { args: { number: 'u', key: 's' } } },
  });
  await bus.export('/org/freedesktop/Notifications', definition);
  await bus.requestName('org.freedesktop.Notifications', 4);
  return { bus, shown, closed, click: (number, key) => definition.emit['ActionInvoked']?.(number, key) };
}

const suggestion = decision({ outcome: 'suggested', hostName: 'tower', host: 'ab'.repeat(32), expectedGainS: 480 });

test('a suggestion is shown with its reason, and each of its buttons does what it says', async () => {
  const desktop = await service(await privateBus());
  const { engine } = await bed({
    'move.offload': () => ended(),
    'suggestion.dismiss': () => ({}),
    'vm.setLevel': () => away,
  });
  await expect.poll(() => engine.server.clients).toBe(1);
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', suggestion);
  await expect.poll(() => desktop.shown).toHaveLength(1);
  expect(desktop.shown[0]).toMatchObject({
    title: 'Move work to tower?',
    body: 'CPU-bound for 20 s. Expected gain about 8 min.',
    actions: ['default', 'Open', 'accept', 'Offload', 'dismiss', 'Not now', 'never', 'Never for work'],
    urgency: 1,
  });
  for (const key of ['accept', 'dismiss', 'never', 'made-up']) desktop.click(1, key);
  desktop.click(77, 'accept');
  await expect
    .poll(() => engine.asked.slice(1))
    .toEqual([
      { call: 'move.offload', params: { vm: vmUuid, host: 'ab'.repeat(32) } },
      { call: 'suggestion.dismiss', params: { vm: vmUuid } },
      { call: 'vm.setLevel', params: { vm: vmUuid, level: 'off' } },
    ]);
});

test('a suggestion that is no longer made is taken back', async () => {
  const desktop = await service(await privateBus());
  const { engine, tell } = await bed({}, { suggestions: [suggestion] });
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', suggestion);
  await expect.poll(() => desktop.shown).toHaveLength(1);
  tell({ suggestions: [] });
  await expect.poll(() => desktop.closed).toEqual([1]);
});

test('an ended move offers the way home; a second word on the same VM takes the place of the first', async () => {
  const desktop = await service(await privateBus());
  const { engine } = await bed({ 'move.home': () => ended() });
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', decision({ hostName: 'tower' }));
  engine.server.publish('move', ended());
  await expect.poll(() => desktop.shown.map(({ title }) => title)).toEqual(['work moves to tower', 'work is at tower']);
  expect(desktop.shown[1]?.replaces).toBe(1);
  desktop.click(1, 'home');
  await expect.poll(() => engine.asked).toContainEqual({ call: 'move.home', params: { vm: vmUuid } });
});

test('a host lost while a VM is there is told once, and taken back when it answers again', async () => {
  const desktop = await service(await privateBus());
  const { engine, tell } = await bed({}, { vms: [away] });
  await expect.poll(() => engine.asked).toHaveLength(1);
  tell({ vms: [away], hosts: [host({ reachable: false })] });
  await expect.poll(() => desktop.shown).toHaveLength(1);
  expect(desktop.shown[0]).toMatchObject({ title: 'tower is out of reach', urgency: 2 });
  tell({ vms: [away], hosts: [host()] });
  await expect.poll(() => desktop.closed).toEqual([1]);
});

test('a kind that is switched off is not shown', async () => {
  const desktop = await service(await privateBus());
  const notify = { suggestions: false, moves: false, trouble: false, pairing: true };
  const { engine } = await bed({}, { preferences: { ...preferences, notify } });
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', suggestion);
  engine.server.publish('move', ended());
  engine.server.publish('move', ended({ phase: 'failed', failure: 'no room' }));
  engine.server.publish('pairing', pairing({ role: 'host', peerName: '<b>eva' }));
  await expect.poll(() => desktop.shown).toHaveLength(1);
  expect(desktop.shown[0]?.title).toBe('<b>eva wants to pair');
  // The body is read as markup there, the title is not.
  expect(desktop.shown[0]?.body).toContain('&lt;b&gt;eva');
});

test('a click that cannot be carried out is answered with the reason', async () => {
  const desktop = await service(await privateBus());
  const { engine } = await bed();
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', suggestion);
  await expect.poll(() => desktop.shown).toHaveLength(1);
  desktop.click(1, 'accept');
  await expect.poll(() => desktop.shown).toHaveLength(2);
  expect(desktop.shown[1]).toMatchObject({ title: 'That did not work', body: 'Move.offload is not in the script.' });
});

test('without a notification service nothing breaks', async () => {
  await privateBus();
  const { engine, shell, quits } = await bed();
  await expect.poll(() => engine.asked).toHaveLength(1);
  engine.server.publish('decision', suggestion);
  engine.server.publish('move', ended());
  expect((await shell.open('overview')).facts.kind).toBe('web');
  expect(quits).toEqual([]);
});
