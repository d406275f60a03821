import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { powerFindings } from '../../main/engine/power-findings.ts';
import { Power } from '../../main/power/index.ts';
import type { PowerBed } from '../testbed/power/index.ts';
import { tempFolder } from '../unit/engine/temp-folder.ts';
import { asRoot, bedFor, laptop, ms, ours } from './power-fixture.ts';

describe.runIf(asRoot)('with the real logind', () => {
  test('the lid is closed with a VM away: it comes home, then the lock goes, then logind suspends', async () => {
    const bed = await bedFor();
    const { holding, at, has, faults, decisions, power } = laptop(bed);
    await holding();
    expect(await ours(bed)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ what: 'handle-lid-switch', mode: 'block', who: 'Homeward' }),
        expect.objectContaining({ what: 'shutdown:sleep', mode: 'delay', who: 'Homeward' }),
      ]),
    );
    const closedMs = performance.now();
    await bed.moveLid(true);
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
    const suspendMs = bed.suspendsMs[0] ?? 0;
    const [askedMs, homeMs, releasedMs] = [at('home asked'), at('arrived'), at('guard off')];
    console.log(
      `lid closed at 0, home asked ${ms(askedMs - closedMs)}, home ${ms(at('arrived') - closedMs)}, guard gone ${ms(releasedMs - closedMs)}, suspend ${ms(suspendMs - closedMs)}`,
    );
    expect(askedMs - closedMs).toBeLessThan(2_500);
    expect(homeMs).toBeLessThanOrEqual(releasedMs);
    expect(homeMs).toBeLessThan(suspendMs);
    expect(suspendMs - homeMs).toBeLessThan(4_000);
    expect(bed.suspendsMs).toHaveLength(1);
    expect(has('pause')).toBe(false);
    expect(decisions).toMatchObject([{ action: 'home', outcome: 'acted', reason: 'The lid is closed.' }]);
    await bed.until(async () => (await ours(bed)).length === 0, 'no lock to be left');
    expect(power.guard).toEqual({ state: 'off' });
    expect(faults()).toEqual([]);
  });

  test('the lid is opened half-way: the VM comes home all the same, and nothing sleeps', async () => {
    const bed = await bedFor();
    const { holding, has, faults } = laptop(bed, { homeTakesMs: 3_000 });
    await holding();
    await bed.moveLid(true);
    await bed.until(() => has('home asked'), 'home to be asked');
    await bed.moveLid(false);
    await bed.until(() => has('guard off'), 'the VM to be home and the lock gone');
    await sleep(1_500);
    expect(has('arrived')).toBe(true);
    expect(bed.suspendsMs).toEqual([]);
    expect(faults()).toEqual([]);
  });

  test('time runs out: it is paused, the lock goes, this computer sleeps, and it goes on after the lid is opened', async () => {
    const bed = await bedFor();
    const { holding, at, has, faults } = laptop(bed, {
      homeTakesMs: 60_000,
      pauseTakesMs: 300,
      departure: { lid: { deadlineS: 10 } },
    });
    await holding();
    const closedMs = performance.now();
    await bed.moveLid(true);
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend', 20_000);
    const suspendMs = bed.suspendsMs[0] ?? 0;
    console.log(
      `deadline 10 s: paused ${ms(at('paused') - closedMs)}, suspend ${ms(suspendMs - closedMs)} after the lid was closed`,
    );
    expect(at('paused')).toBeLessThan(suspendMs);
    expect(suspendMs - closedMs).toBeGreaterThan(9_900);
    expect(suspendMs - closedMs).toBeLessThan(14_000);
    expect(has('woken')).toBe(false);
    await bed.moveLid(false);
    bed.wake();
    await bed.until(() => has('woken'), 'it to go on');
    await bed.until(async () => (await ours(bed)).length === 2, 'the locks to be taken again');
    expect(faults()).toEqual([]);
  });

  test('sleep is asked for by hand: it is told first, and sleep is held up no longer than that takes', async () => {
    const bed = await bedFor();
    const { holding, at, has } = laptop(bed, { pauseTakesMs: 1_000 });
    await holding();
    const askedMs = performance.now();
    await bed.suspend();
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
    const suspendMs = bed.suspendsMs[0] ?? 0;
    console.log(
      `suspend asked at 0, pause asked ${ms(at('pause asked') - askedMs)}, paused ${ms(at('paused') - askedMs)}, suspend ${ms(suspendMs - askedMs)}`,
    );
    expect(at('paused')).toBeLessThan(suspendMs);
    expect(suspendMs - askedMs).toBeLessThan(4_000);
    bed.wake();
    await bed.until(() => has('woken'), 'it to go on');
    await bed.until(async () => (await ours(bed)).length === 2, 'the last word to be asked for again');
  });

  test('whoever does not get done before sleep is not waited for beyond logind’s own limit', async () => {
    const bed = await bedFor({ inhibitDelayS: 3 });
    const { holding } = laptop(bed, { pauseTakesMs: 60_000 });
    await holding();
    const askedMs = performance.now();
    await bed.suspend();
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
    const tookMs = (bed.suspendsMs[0] ?? 0) - askedMs;
    console.log(`limit 3 s: suspend after ${ms(tookMs)}`);
    expect(tookMs).toBeGreaterThan(1_500);
    expect(tookMs).toBeLessThan(3_000);
  });

  test('the process that holds it is killed: the lock is gone, and a closed lid suspends', async () => {
    const bed = await bedFor();
    const holder = holderProcess(bed);
    await once(holder.stdout as NodeJS.ReadableStream, 'data');
    expect((await ours(bed)).map(({ what }) => what)).toContain('handle-lid-switch');
    await bed.moveLid(true);
    await sleep(1_000);
    expect(bed.suspendsMs).toEqual([]);
    holder.kill('SIGKILL');
    const killedMs = performance.now();
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
    console.log(`killed at 0, suspend ${ms((bed.suspendsMs[0] ?? 0) - killedMs)}`);
    await bed.until(async () => (await ours(bed)).length === 0, 'no lock to be left');
  });

  test('the lid trigger is off: no lid lock, and the lid does what it always did', async () => {
    const bed = await bedFor();
    const { leaving, has } = laptop(bed, { departure: { lid: { on: false } } });
    leaving.sync();
    await bed.until(async () => (await ours(bed)).length === 1, 'the last word to be asked for');
    await bed.moveLid(true);
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
    expect(has('guard held')).toBe(false);
    expect(has('home asked')).toBe(false);
    expect(has('paused')).toBe(true);
  });

  test('logind refuses the lock: that is said in words, by status and doctor', async () => {
    const bed = await bedFor();
    const folder = await tempFolder();
    const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups';
    await writeFile(`${folder}/systemd-inhibit`, `#!/bin/sh\nexec ${nobody} /usr/bin/systemd-inhibit "$@"\n`, {
      mode: 0o755,
    });
    vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
    const { leaving, has, power, faults } = laptop(bed);
    leaving.sync();
    await bed.until(() => has('guard refused'), 'logind to refuse');
    expect(power.guard).toMatchObject({
      state: 'refused',
      sentence: expect.stringMatching(/^logind does not let Homeward hold up the lid: Failed to inhibit: .*\S\.$/),
      hint: expect.stringContaining('polkit'),
    });
    expect(await powerFindings(power)).toContainEqual(
      expect.objectContaining({ id: 'power-guard', severity: 'problem' }),
    );
    expect(await ours(bed)).toEqual([]);
    expect(faults()).toEqual([]);
  });

  test('with logind alone the doctor names what else is missing, and says that the lid would wait', async () => {
    await bedFor();
    const power = new Power({
      onReadings: () => undefined,
      beforeSleep: async () => undefined,
      onGuard: () => undefined,
      onFault: () => undefined,
    });
    const found = await powerFindings(power);
    expect(found.map(({ id, severity }) => `${id} ${severity}`)).toEqual([
      'power-upower note',
      'power-network-manager note',
      'power-guard ok',
    ]);
    expect(power.guard).toEqual({ state: 'off' });
  });

  test('the bus goes and comes back: the lid is held again, and what happened meanwhile is seen', async () => {
    const bed = await bedFor();
    const { holding, has, readings } = laptop(bed);
    await holding();
    const before = (await ours(bed)).map(({ pid }) => pid);
    await bed.restart();
    await bed.until(async () => (await ours(bed)).length === 2, 'the locks to be taken again');
    expect((await ours(bed)).some(({ pid }) => before.includes(pid))).toBe(false);
    await bed.moveLid(true);
    await bed.until(() => has('arrived'), 'the VM to come home');
    expect(readings.some(({ lidClosed }) => lidClosed === true)).toBe(true);
    await bed.until(() => bed.suspendsMs.length > 0, 'logind to suspend');
  });
});

/** An engine as far as the lid is concerned. */
function holderProcess(bed: PowerBed): ChildProcess {
  const face = join(import.meta.dirname, '../../main/power/index.ts');
  const script = `import { Power } from '${face}';
    const power = new Power({ onReadings() {}, async beforeSleep() {}, onGuard({ state }) { if (state === 'held') console.log('held'); },
      onFault(what, thrown) { console.error(what, thrown); } });
    power.arm();
    await power.hold();
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bed.address },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}
