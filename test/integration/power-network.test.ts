import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defaultSettings } from '../../main/engine/settings.ts';
import { Surroundings } from '../../main/engine/surroundings.ts';
import { Power } from '../../main/power/index.ts';
import type { Readings } from '../../shared/model/signal.ts';
import { NetworkBed, type PowerBed, UpowerMock } from '../testbed/power/index.ts';
import { asRoot, bedFor, laptop, ms, ours } from './power-fixture.ts';

describe.runIf(asRoot)('with NetworkManager and a mock of UPower besides', () => {
  test('the network cable is pulled, and that is a hint; the power cable too, and the VM comes home', async () => {
    const bed = await bedFor();
    const net = await NetworkBed.start();
    onTestFinished(() => net.stop());
    await net.startNetworkManager(bed);
    const upower = await UpowerMock.start(bed);
    const { holding, at, has, readings, decisions, power } = laptop(bed);
    await holding();
    const last = (): Readings => readings.at(-1) ?? {};
    await bed.until(() => last().network?.primary === 'cable' && last().onMains === true, 'cable and mains to be seen');
    expect(await power.missing()).toEqual([]);
    const pulledMs = performance.now();
    await net.plug(false);
    await bed.until(() => last().network?.carrier === false, 'the carrier to be lost');
    console.log(`carrier seen lost after ${ms(performance.now() - pulledMs)}`);
    await sleep(1_500);
    expect(has('home asked')).toBe(false);
    await upower.mains(false);
    await bed.until(() => has('home asked'), 'home to be asked');
    console.log(`home asked ${ms(at('home asked') - pulledMs)} after the first cable was pulled`);
    expect(decisions[0]?.reason).toBe('The network cable was pulled out. The power cable was pulled out.');
    await bed.until(async () => (await ours(bed)).length === 0, 'no lock to be left');
    expect(bed.suspendsMs).toEqual([]);
  });

  test('a battery that runs low brings the VM home, one on the mains does not', async () => {
    const bed = await bedFor();
    const upower = await UpowerMock.start(bed);
    const { holding, has, readings, decisions } = laptop(bed);
    await upower.battery(9);
    await holding();
    await bed.until(() => readings.at(-1)?.battery?.percent === 9, 'the battery to be seen');
    expect(has('home asked')).toBe(false);
    await upower.battery(9, { discharging: true, emptyInS: 900 });
    await bed.until(() => has('arrived'), 'the VM to come home');
    expect(decisions[0]?.reason).toBe('The battery is at 9 % and lasts about 10 min.');
  });

  test('the policy hears of mains and battery while no VM is away, and nothing keeps the lid from closing', async () => {
    const bed = await bedFor();
    const upower = await UpowerMock.start(bed);
    const faults: unknown[] = [];
    const power: Power = new Power({
      onReadings: (seen) => surroundings.onReadings(seen),
      beforeSleep: async () => undefined,
      onGuard: () => undefined,
      onFault: (...fault) => faults.push(fault),
    });
    const surroundings = new Surroundings({
      power,
      settings: { current: defaultSettings() },
      onFault: (...fault) => faults.push(fault),
    });
    onTestFinished(() => surroundings.stop());
    expect(surroundings.latest()).toEqual({});
    await bed.until(() => surroundings.latest().onBattery === false, 'mains to be seen');
    await upower.mains(false);
    await bed.until(() => surroundings.latest().onBattery === true, 'the battery to be seen');
    expect(await ours(bed)).toEqual([]);
    expect(faults).toEqual([]);
  });

  test('without NetworkManager the kernel’s routes tell when the cable is pulled', async () => {
    const bed = await bedFor();
    const net = await NetworkBed.start();
    onTestFinished(() => net.stop());
    await net.configure();
    const seen = watchInside(net, bed);
    await bed.until(() => seen.at(-1) === 'cable true', 'the cable to be seen');
    const pulledMs = performance.now();
    await net.plug(false);
    await bed.until(() => seen.at(-1) !== 'cable true', 'the cable to be missed');
    console.log(`without NetworkManager: ${seen.at(-1)} after ${ms(performance.now() - pulledMs)}`);
    expect(seen.at(-1)).toBe('cable false');
  });
});

/** What a watch in the laptop's network namespace says of the network. */
function watchInside(net: NetworkBed, bed: PowerBed): string[] {
  const seen: string[] = [];
  const script = `import { Power } from '${join(import.meta.dirname, '../../main/power/index.ts')}';
    new Power({ onReadings({ network }) { console.log(network?.primary, network?.carrier); }, async beforeSleep() {},
      onGuard() {}, onFault(what, thrown) { console.error(what, thrown); } }).arm();`;
  const child = bed.spawn('ip', ['netns', 'exec', net.laptop, process.execPath, '--input-type=module', '-e', script]);
  child.stdout?.on('data', (chunk: Buffer) => seen.push(...chunk.toString().trim().split('\n')));
  return seen;
}
