import { errorFrom, HomewardError } from '../../shared/errors.ts';
import { admit } from '../../shared/plan/admission.ts';
import type { HostSettings } from '../../shared/rpc.ts';
import type { VisitRequest } from '../../shared/wire.ts';
import { readCpu, readMemory } from './machine.ts';
import type { HostProbe } from './probe.ts';
import { needPrograms } from './programs.ts';
import { needRoom } from './room.ts';
import type { VisitState } from './visit-state.ts';

/** Somebody who has, or was promised, room here. */
export interface Guest {
  readonly owner: string;
  readonly request: VisitRequest;
  readonly state: VisitState;
  readonly residentBytes: number;
}

export interface AdmissionsOptions {
  /** Where visits will lie. */
  readonly folder: string;
  readonly settings: () => HostSettings;
  readonly facts: Pick<HostProbe['facts'], 'accels'>;
  /** Visits that are here and not over. */
  readonly residents: () => readonly Guest[];
}

/** Who may visit: there is room for it, and nobody else was promised that room. */
export class Admissions {
  readonly #options: AdmissionsOptions;
  readonly #promised = new Set<Guest>();
  /** One by one: two at once would both be given the last room. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: AdmissionsOptions) {
    this.#options = options;
  }

  /** Whether it would be let in now. @throws HomewardError with what keeps it out */
  async check(owner: string, request: VisitRequest): Promise<void> {
    const { folder, settings, facts, residents } = this.#options;
    const others = [...residents(), ...this.#promised].filter((guest) => guest.request.visit !== request.visit);
    const same = others.find((guest) => guest.owner === owner && guest.request.vm === request.vm);
    if (same && same.state !== 'empty') {
      throw new HomewardError('vm-busy', `${request.vmName} is visiting this workstation already.`, {
        hint: 'Bring it home first.',
      });
    }
    await needPrograms(request);
    await needRoom(folder);
    const [memory, cpu, accels] = await Promise.all([readMemory(), readCpu(), facts.accels()]);
    const room = {
      freeMemoryBytes: memory.availableBytes,
      cores: cpu.cores,
      accels,
      visitors: others
        .filter((guest) => guest !== same)
        .map(({ request: { memoryBytes, vcpus }, residentBytes }) => ({ memoryBytes, vcpus, residentBytes })),
    };
    const admission = admit(request, room, settings());
    if (!admission.admitted) throw errorFrom(admission.why);
  }

  /** Its room is kept while `arrive` makes it a resident. @throws as `check`, and what `arrive` throws */
  async letIn<T>(owner: string, request: VisitRequest, arrive: () => Promise<T>): Promise<T> {
    const promise: Guest = { owner, request, state: 'incoming', residentBytes: 0 };
    const admitted = this.#queue.then(async () => {
      await this.check(owner, request);
      this.#promised.add(promise);
    });
    this.#queue = admitted.catch(() => undefined);
    await admitted;
    try {
      return await arrive();
    } finally {
      this.#promised.delete(promise);
    }
  }

  /** Those of `owner` that are let in and not here yet. */
  promised(owner: string): VisitRequest[] {
    return [...this.#promised].flatMap((guest) => (guest.owner === owner ? [guest.request] : []));
  }
}
