import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sample } from '../../../shared/model/vm.ts';
import { decide, type HostCandidate, type PolicyInput } from '../../../shared/policy/index.ts';
import { away, busy, facts, gib, history, host, idle, input, now, sample, vm } from './fixtures.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });

const anySample = fc
  .record({ ageMs: fc.integer({ min: -5_000, max: 600_000 }), busyVcpu: share, waiting: share, diskBusy: share })
  .map(({ ageMs, busyVcpu, waiting, diskBusy }) =>
    sample(now - ageMs, { busyVcpus: busyVcpu, busiestVcpu: busyVcpu, waitingVcpus: waiting, diskBusy }),
  );

/** Histories with holes, disorder and doubles, or steady ones that provoke moves. */
const anyHistory: fc.Arbitrary<Sample[]> = fc.oneof(
  fc.array(anySample, { maxLength: 200 }),
  fc
    .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 100 }))
    .map(([a, b]) => history([a, busy], [b, idle])),
  fc
    .tuple(fc.integer({ min: 60, max: 200 }), fc.array(fc.nat(200), { maxLength: 60 }))
    .map(([length, missing]) => history([length, busy]).filter((_one, index) => !missing.includes(index))),
);

const anyHost: fc.Arbitrary<HostCandidate> = fc
  .record({
    fingerprint: fc.stringMatching(/^[0-9a-f]{64}$/),
    reachable: fc.boolean(),
    paired: fc.boolean(),
    busyCores: fc.double({ min: 0, max: 4, noNaN: true }),
    cpuMhz: fc.constantFrom(0, 1_000, 3_000, 5_000),
    freeMemoryBytes: fc.constantFrom(0, gib, 8 * gib),
    linkBytesPerSec: fc.option(fc.constantFrom(0, 1e6, 1e8), { nil: undefined }),
    obstacle: fc.option(fc.constant('it may not.'), { nil: undefined }),
    described: fc.boolean(),
  })
  .map(({ busyCores, cpuMhz, freeMemoryBytes, described, ...rest }) =>
    host({ ...rest, facts: described ? facts({ busyCores, cpuMhz, freeMemoryBytes }) : undefined }),
  );

const anyInput: fc.Arbitrary<PolicyInput & { readonly policy: 'muda' }> = fc
  .record({
    samples: anyHistory,
    hosts: fc.array(anyHost, { maxLength: 4 }),
    level: fc.constantFrom('off', 'suggest', 'automatic'),
    isAway: fc.boolean(),
    adopted: fc.boolean(),
    sinceMoveMs: fc.option(fc.integer({ min: -10_000, max: 200_000 }), { nil: undefined }),
    movesRecent: fc.nat(20),
    homeBusy: fc.double({ min: 0, max: 4, noNaN: true }),
  })
  .map(({ samples, hosts, level, isAway, adopted, sinceMoveMs, movesRecent, homeBusy }) =>
    input({
      hosts,
      home: { facts: facts({ busyCores: homeBusy }) },
      vm: vm({
        samples,
        level,
        adopted,
        movesRecent,
        ...(isAway ? { place: away } : {}),
        ...(sinceMoveMs === undefined ? {} : { lastMoveEndedAt: now - sinceMoveMs }),
      }),
    }),
  );

describe('muda, whatever it is given', () => {
  it('gives a reason that is one sentence and free of nonsense', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        expect(decide(given).reason).toMatch(/^\S.*\S\.$/);
        expect(decide(given).reason).not.toMatch(/NaN|Infinity|undefined/);
      }),
      { numRuns: 500 },
    );
  });

  it('answers the same to the same', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        expect(decide(given)).toEqual(decide(structuredClone(given)));
      }),
    );
  });

  it('never moves a VM under cooldown, at level off, or not adopted', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const { lastMoveEndedAt, level, adopted } = given.vm;
        const cooling = lastMoveEndedAt !== undefined && now - lastMoveEndedAt < given.settings.cooldownMs;
        fc.pre(cooling || level === 'off' || !adopted);
        expect(decide(given).action).toBe('stay');
      }),
    );
  });

  it('never chooses a host that is unpaired, unreachable, obstructed, full or unknown', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const decision = decide(given);
        if (decision.action !== 'offload') return;
        const chosen = given.hosts.find(({ fingerprint }) => fingerprint === decision.host);
        expect(chosen).toMatchObject({ paired: true, reachable: true, obstacle: undefined });
        expect(chosen?.facts?.busyCores).toBeLessThanOrEqual(3.25);
        expect(chosen?.facts?.freeMemoryBytes).toBeGreaterThanOrEqual(gib);
      }),
      { numRuns: 500 },
    );
  });

  it('never moves away twice, nor home from home', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        expect(decide(given).action).not.toBe(given.vm.place.kind === 'home' ? 'home' : 'offload');
      }),
    );
  });

  it('never answers a spike of less than 20 s, whatever its height', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 300 }),
        fc.nat(10),
        (spike, before, after) => {
          const samples = history([before, idle], [spike, { ...busy, guestLoad1: 50 }], [after, idle]);
          expect(decide(input({ vm: vm({ samples }) })).action).toBe('stay');
        },
      ),
    );
  });

  it('decides the same with one sample in five missing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), (phase) => {
        const samples = history([150, busy]).filter((_one, index) => index % 5 !== phase);
        expect(decide(input({ vm: vm({ samples }) })).action).toBe('offload');
      }),
    );
  });
});
