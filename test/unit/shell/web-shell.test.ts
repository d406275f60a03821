import { expect, test, vi } from 'vitest';
import { HomewardError } from '../../../shared/errors.ts';
import { away, host, hostFingerprint, moving, vm, vmUuid } from '../cli/samples.ts';
import { labelsOf, Panel, privateBus } from './private-bus.ts';
import { bed } from './web-shell-bed.ts';

test('the icon registers, its menu is read over the bus, and a click on “Offload now” begins a move', async () => {
  const busAddress = await privateBus();
  const panel = await Panel.start(busAddress);
  const { engine, tell } = await bed({ 'move.offload': () => moving() });
  await expect.poll(() => panel.items).toHaveLength(1);
  expect(await panel.property('Id')).toBe('homeward');
  await expect
    .poll(async () => labelsOf(await panel.menu()))
    .toEqual(['work: running here', 'Offload now', 'Automatic', '---', 'Open Homeward', 'Settings', '---', 'Quit']);

  await panel.click('Offload now', 'tower');
  await expect
    .poll(() => engine.asked)
    .toContainEqual({ call: 'move.offload', params: { vm: vmUuid, host: hostFingerprint } });

  tell({ moves: [moving()] });
  await expect
    .poll(async () => labelsOf(await panel.menu()))
    .toEqual([
      'work → tower: copying memory, 62 %',
      'Cancel the move',
      'Automatic',
      '---',
      'Open Homeward',
      'Settings',
      '---',
      'Quit (the move goes on)',
    ]);
  expect(panel.signals.map(({ member }) => member)).toContain('LayoutUpdated');
  expect(panel.signals.map(({ member }) => member)).toContain('NewIcon');

  tell({ vms: [away] });
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('Quit (VMs stay where they are)');
  expect((await panel.find('Bring home')).enabled).toBe(true);
});

test('while only words change, the menu stays and its entries are told of one by one', async () => {
  const panel = await Panel.start(await privateBus());
  const { tell } = await bed({}, { moves: [moving()] });
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('work → tower: copying memory, 62 %');
  panel.signals.length = 0;
  const progress = moving().progress;
  if (progress === undefined) throw new Error('The sample moves.');
  tell({ moves: [moving({ progress: { ...progress, remainingBytes: 1024 } })] });
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('work → tower: copying memory, 99 %');
  const members = panel.signals.map(({ member }) => member);
  expect(members).toContain('ItemsPropertiesUpdated');
  expect(members).not.toContain('LayoutUpdated');
  expect(await panel.property('IconPixmap')).toHaveLength(5);
});

test('entries keep their numbers, and a click on one that has gone does nothing', async () => {
  const panel = await Panel.start(await privateBus());
  const { engine, tell } = await bed({ 'move.cancel': () => moving() }, { moves: [moving()] });
  await expect.poll(() => panel.items).toHaveLength(1);
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('Cancel the move');
  const cancel = await panel.find('Cancel the move');
  const automatic = await panel.find('Automatic');
  tell({});
  await expect.poll(async () => labelsOf(await panel.menu())).not.toContain('Cancel the move');
  expect((await panel.find('Automatic')).id).toBe(automatic.id);
  await panel.call('Event', 'isvu', [cancel.id, 'clicked', ['i', 0], 0]);
  expect(await panel.call('AboutToShow', 'i', [0])).toBe(false);
  expect(engine.asked.map(({ call }) => call)).not.toContain('move.cancel');
});

test('hosts that cannot be used are listed with the reason and cannot be clicked', async () => {
  const panel = await Panel.start(await privateBus());
  const hosts = [
    host(),
    host({ name: 'attic', fingerprint: 'ef'.repeat(32), paired: false }),
    host({ name: 'under_stairs', fingerprint: '12'.repeat(32), reachable: false }),
  ];
  await bed({}, { hosts });
  await expect
    .poll(async () => (await panel.find('Offload now')).entries.map(({ label, enabled }) => [label, enabled]))
    .toEqual([
      ['tower', true],
      ['attic (not paired)', false],
      // An underscore alone would mark a key.
      ['under__stairs (out of reach)', false],
    ]);
});

test('Automatic is ticked as the engine has it, and a click changes it', async () => {
  const panel = await Panel.start(await privateBus());
  const { engine, tell } = await bed({ 'vm.setLevel': () => vm({ level: 'automatic' }) });
  await expect.poll(async () => (await panel.find('Automatic')).checked).toBe(false);
  await panel.click('Automatic');
  await expect
    .poll(() => engine.asked)
    .toContainEqual({ call: 'vm.setLevel', params: { vm: vmUuid, level: 'automatic' } });
  tell({ vms: [vm({ level: 'automatic' })] });
  await expect.poll(async () => (await panel.find('Automatic')).checked).toBe(true);
});

test('when the panel is restarted, the icon is back', async () => {
  const busAddress = await privateBus();
  const first = await Panel.start(busAddress);
  const { shell, notes } = await bed();
  await expect.poll(() => first.items).toHaveLength(1);
  expect(shell.hasTray).toBe(true);
  await first.stop();
  await expect.poll(() => shell.hasTray).toBe(false);
  expect(notes).toEqual(['The tray has gone; its icon is back when the tray is.']);
  const second = await Panel.start(busAddress);
  await expect.poll(() => second.items).toHaveLength(1);
  expect(shell.hasTray).toBe(true);
  await expect.poll(async () => labelsOf(await second.menu())).toContain('work: running here');
});

test('with a bus but no panel there is no tray, and the window opens all the same', async () => {
  await privateBus();
  const { shell, opened } = await bed();
  expect(shell.hasTray).toBe(false);
  expect(await shell.open('overview')).toEqual({ facts: { kind: 'web', tray: false, startAtLogin: false } });
  expect(opened).toHaveLength(1);
});

test('without any bus it is the same', async () => {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', 'unix:path=/nonexistent/bus');
  const { shell } = await bed();
  expect(shell.hasTray).toBe(false);
});

test('a click on the icon, “Open Homeward” and “Settings” open the browser', async () => {
  const panel = await Panel.start(await privateBus());
  const { opened } = await bed();
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('Settings');
  await panel.activate();
  await panel.click('Settings');
  await expect.poll(() => opened).toHaveLength(2);
  expect(opened[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/enter#t=[\w-]+$/);
  expect(opened[1]).toMatch(/&v=settings$/);
});

test('Quit ends the shell and leaves the engine alone', async () => {
  const panel = await Panel.start(await privateBus());
  const { engine, quits } = await bed();
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('Quit');
  await panel.click('Quit');
  await expect.poll(() => quits).toEqual([1]);
  expect(engine.asked.map(({ call }) => call)).toEqual(['engine.status']);
});

test('without an engine the menu says so and offers to start one', async () => {
  const panel = await Panel.start(await privateBus());
  const { engine } = await bed();
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('work: running here');
  await engine.server.close();
  await expect
    .poll(async () => labelsOf(await panel.menu()))
    .toEqual(['The engine is not running.', 'Start the engine', '---', 'Open Homeward', 'Settings', '---', 'Quit']);
});

test('before an engine was ever reached the menu is there, too', async () => {
  const panel = await Panel.start(await privateBus());
  await bed({
    'engine.status': () => {
      throw new HomewardError('internal', 'Not yet.');
    },
  });
  await expect.poll(() => panel.items).toHaveLength(1);
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('Start the engine');
});

test('nonsense on the bus is answered with an error and harms nothing', async () => {
  const panel = await Panel.start(await privateBus());
  await bed();
  await expect.poll(async () => labelsOf(await panel.menu())).toContain('work: running here');
  for (const [member, signature, body] of [
    ['GetLayout', 's', ['nonsense']],
    ['GetLayout', 'iias', [4_711, 1, []]],
    ['GetGroupProperties', 's', ['nonsense']],
    ['GetProperty', 'is', [4_711, 'label']],
    ['EventGroup', 'i', [7]],
  ] as const) {
    await expect(panel.call(member, signature, [...body]), member).rejects.toThrow();
  }
  await panel.call('Event', 's', ['nonsense']);
  expect(labelsOf(await panel.menu())).toContain('work: running here');
});
