import { describe, expect, it } from 'vitest';
import type { Phase } from '../../../shared/model/move.ts';
import { acceptable, acceptableMeanwhile, unharmed } from '../../fault/bed/ends.ts';
import { faultNames } from '../../fault/bed/faults.ts';
import { allCases, chooseCases, nameOf, randomMoves } from '../../fault/bed/matrix.ts';
import { metBy, moments } from '../../fault/bed/moments.ts';
import { endOf, type Sight } from '../../fault/bed/sight.ts';
import { move } from '../samples.ts';

describe('the cases of a run', () => {
  it('are decided by the seed alone', () => {
    expect(chooseCases(7, 40)).toEqual(chooseCases(7, 40));
    expect(chooseCases(7, 40)).not.toEqual(chooseCases(8, 40));
    expect(randomMoves(7, 40)).toEqual(randomMoves(7, 40));
    expect(randomMoves(7, 40)).not.toEqual(randomMoves(8, 40));
  });

  it('come each once before any comes twice, and are at least 150', () => {
    const all = allCases().map(nameOf);
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBeGreaterThanOrEqual(150);
    const drawn = chooseCases(3, all.length).map(nameOf);
    expect([...drawn].sort()).toEqual([...all].sort());
  });

  it('begin where the one before leaves the VM, as long as there are such', () => {
    const drawn = chooseCases(3, 40, ['out/pre-copy', 'home/pre-copy']).map(nameOf);
    expect(drawn.slice(0, 20).map((name, index) => name.startsWith(index % 2 === 0 ? 'out/' : 'home/'))).toEqual(
      Array(20).fill(true),
    );
  });

  it('can be narrowed to a part of their names', () => {
    expect(chooseCases(1, 3, ['home/post-copy/link-cut-30s']).map(nameOf)).toEqual(
      Array(3).fill('home/post-copy/link-cut-30s'),
    );
    expect(chooseCases(1, 3, ['no such fault'])).toEqual([]);
  });
});

describe('the ends that are declared', () => {
  const meetings = [...moments, 'idle-home'] as const;

  it('are given for every fault wherever it may strike', () => {
    for (const fault of faultNames)
      for (const met of meetings) {
        expect(acceptable(fault, met).length, `${fault} at ${met}`).toBeGreaterThan(0);
        expect(acceptable(fault, met), 'nobody waits when all is mended').not.toContain('waiting');
        expect(acceptableMeanwhile(fault, met)).toContain('waiting');
      }
  });

  it('allow no loss where another machine has the whole VM', () => {
    expect(acceptable('qemu-home-killed', 'home/pre-copy')).toEqual(['away-running']);
    expect(acceptable('qemu-host-killed', 'out/pre-copy')).toEqual(['home-running']);
    expect(acceptable('host-off', 'out/prepare')).toEqual(['home-running']);
    expect(acceptable('host-off', 'idle-home')).toEqual(['home-running']);
    expect(acceptable('home-off', 'home/pre-copy')).toEqual(['away-running']);
    expect(acceptable('home-off', 'idle-away')).toEqual(['away-running']);
    for (const fault of faultNames.filter((name) => !/qemu|-off$|storage-daemon|shut-down/.test(name)))
      for (const met of meetings) {
        const isFlip = /^(?:libvirtd|migration)-/.test(fault) && met.endsWith('/switchover');
        if (!isFlip) expect(acceptable(fault, met), `${fault} at ${met}`).not.toContain('ended');
      }
    expect(acceptable('libvirtd-home-killed', 'out/switchover')).not.toContain('ended');
    expect(acceptable('libvirtd-host-killed', 'home/switchover')).not.toContain('ended');
  });

  it('have a move that has flipped go on to its destination', () => {
    expect(unharmed('out/post-copy')).toEqual(['away-running']);
    expect(unharmed('home/settle')).toEqual(['home-running']);
  });
});

describe('what a fault met', () => {
  const told = (phase: Phase, transferredBytes: number, cancellable = true) =>
    move({
      phase,
      cancellable,
      progress: {
        transferredBytes,
        remainingBytes: 1,
        totalBytes: 2,
        rateBytesPerSec: 1,
        dirtyBytesPerSec: 0,
        iteration: 1,
        postcopyRequests: 0,
      },
    });

  it('is told by the phase and by what has crossed, and by whether the guest has been heard at the destination', () => {
    expect(metBy('home', told('preparing', 0), false)).toBe('home/prepare');
    expect(metBy('out', told('copying', 0), false)).toBe('out/prepare');
    expect(metBy('out', told('copying', 1), false)).toBe('out/pre-copy');
    expect(metBy('out', told('copying', 1, false), false), 'the flip was asked for').toBe('out/switchover');
    expect(metBy('out', told('postcopy', 1), false)).toBe('out/switchover');
    expect(metBy('out', told('paused', 1), true)).toBe('out/post-copy');
    expect(metBy('out', told('done', 1), true)).toBe('idle-away');
    expect(metBy('home', told('failed', 1), false)).toBeUndefined();
  });
});

describe('an end', () => {
  const engine = { place: 'away', state: 'running', moves: [], hostReachable: true } as const;
  const whole: Sight = { engine, running: ['away'], visits: ['running'], heard: 'away' };

  it('is one where engine, libvirt and guest agree', () => {
    expect(endOf(whole)).toBe('away-running');
    expect(endOf({ ...whole, engine: { ...engine, place: 'home' } })).toBeUndefined();
    expect(endOf({ ...whole, heard: 'home' })).toBeUndefined();
    expect(endOf({ ...whole, heard: undefined })).toBeUndefined();
    expect(endOf({ ...whole, running: ['home', 'away'] })).toBeUndefined();
    expect(endOf({ ...whole, engine: undefined })).toBeUndefined();
  });

  it('is none while a move goes on, unless that waits for the link', () => {
    expect(endOf({ ...whole, engine: { ...engine, moves: [{ phase: 'copying', linkDown: false }] } })).toBeUndefined();
    expect(endOf({ ...whole, engine: { ...engine, moves: [{ phase: 'copying', linkDown: true }] } })).toBe('waiting');
    expect(endOf({ ...whole, engine: { ...engine, hostReachable: false } })).toBe('waiting');
  });

  it('of a VM that has ended leaves nothing running and its disk at home', () => {
    const off = { ...engine, state: 'shutoff' } as const;
    expect(endOf({ engine: { ...off, place: 'home' }, running: [], visits: [], heard: undefined })).toBe('ended');
    expect(endOf({ engine: off, running: [], visits: [], heard: undefined })).toBeUndefined();
    expect(endOf({ engine: { ...off, place: 'home' }, running: [], visits: [], heard: 'away' })).toBeUndefined();
  });
});
