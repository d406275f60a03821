/** A workstation whose word on its speed is false: what its laptop makes of it, before any VM has moved. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import type { MachineScores } from '../../shared/model/host.ts';
import { type Bed, BedEngine, createBed, pairEngines, stateFolder } from '../testbed/index.ts';

/** No core hashes 64 KiB in a microsecond. */
const claimed: MachineScores = {
  cpuSingleOpsPerSec: 1_000_000,
  cpuMultiOpsPerSec: 8_000_000,
  memcpyBytesPerSec: 5e9,
  diskWriteBytesPerSec: 5e8,
  takenAt: new Date().toISOString(),
};

let bed: Bed;
let laptop: BedEngine;

beforeAll(async () => {
  bed = await createBed();
  const folder = stateFolder(bed.workstation);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const scores = { version: packageJson.version, benchmark: claimed };
  await writeFile(join(folder, 'benchmark.json'), JSON.stringify(scores), { mode: 0o600 });
  const workstation = await BedEngine.start(bed.workstation, { hostRole: true });
  laptop = await BedEngine.start(bed.laptop);
  await pairEngines(laptop, workstation);
}, 60_000);

afterAll(async () => {
  laptop?.client.close();
  await bed?.close();
});

it('it is found out within two looks, believed only what it has shown, and the doctor says so', {
  timeout: 120_000,
}, async () => {
  const host = await laptop.until('the lie to be found out', 100_000, async () => {
    const [known] = await laptop.client.call('hosts.list', {});
    return known?.benchmark?.claimedOpsPerSec === undefined ? undefined : known;
  });
  const { cpuSingleOpsPerSec = 0, cpuMultiOpsPerSec = 0, shownOpsPerSec, claimedOpsPerSec } = host.benchmark ?? {};
  expect(claimedOpsPerSec).toBe(claimed.cpuSingleOpsPerSec);
  expect(cpuSingleOpsPerSec).toBe(shownOpsPerSec);
  expect(cpuSingleOpsPerSec).toBeLessThan(claimed.cpuSingleOpsPerSec / 1.5);
  expect(cpuMultiOpsPerSec / cpuSingleOpsPerSec).toBeCloseTo(8);
  const findings = await laptop.client.call('doctor.run', {});
  expect(findings.find(({ id }) => id === `speed-${host.fingerprint}`)?.title).toBe(
    `${host.name} is slower than it says`,
  );
});
