/** The samples that the monitor would take of the simulated VM: noise, housekeeping, spikes and holes included. */
import type { Sample } from '../../shared/model/vm.ts';
import { Random } from './random.ts';
import type { Scenario, Seen } from './world.ts';

const missingShare = 0.02;
const holesPerSample = 0.0005;
const spikeShare = 0.004;
const wrongProgramShare = 0.05;

export function nothingSeen(): Seen {
  return { cpuS: 0, waitingS: 0, busiestS: 0, diskS: 0, tasksS: 0, requests: 0, bytes: 0 };
}

export class Observer {
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #housekeeping: number;
  #holeLeft = 0;
  #load = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#random = new Random(scenario.seed * 7 + 3);
    this.#housekeeping = this.#random.between(0.01, 0.06);
  }

  /** Of one second; nothing where the sample got lost. */
  sample(at: number, seen: Seen, program: string | undefined): Sample | undefined {
    const { vcpus, memoryBytes, usedMemoryBytes, hasAgent } = this.#scenario;
    const random = this.#random;
    // The kernel's one-minute average, here renewed each second.
    this.#load += (seen.tasksS - this.#load) * (1 - Math.exp(-1 / 60));
    if (this.#holeLeft > 0) {
      this.#holeLeft -= 1;
      return undefined;
    }
    if (random.chance(holesPerSample)) this.#holeLeft = random.whole(4, 12);
    if (random.chance(missingShare)) return undefined;
    const spike = random.chance(spikeShare) ? random.between(0.3, 1) : 0;
    const extra = this.#housekeeping * random.between(0.3, 2) + spike;
    const noise = random.between(0.94, 1.04);
    const busyVcpus = Math.min(vcpus, seen.cpuS * noise + extra);
    const isBusy = seen.cpuS > 0.2;
    return {
      at,
      vcpus,
      busyVcpus,
      waitingVcpus: Math.min(vcpus - busyVcpus, Math.max(0, seen.waitingS * noise)),
      busiestVcpu: Math.min(1, seen.busiestS * noise + extra),
      diskBytesPerSec: seen.bytes,
      diskRequestsPerSec: seen.requests + random.between(0, 3),
      diskBusy: Math.min(1, seen.diskS * noise + 0.005),
      netBytesPerSec: 0,
      memoryBytes,
      usedMemoryBytes,
      ...(hasAgent && {
        guestLoad1: this.#load,
        guestIowait: Math.min(1, Math.min(seen.diskS * noise, Math.max(0, vcpus - busyVcpus)) / vcpus),
      }),
      ...(hasAgent && isBusy && program && { guestProgram: random.chance(wrongProgramShare) ? 'kworker' : program }),
    };
  }
}
