import { describe, expect, it } from 'vitest';
import type { Connection, DomainState } from '../../../main/libvirt/index.ts';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';
import { see } from '../../../main/migrate/seen.ts';
import type { Direction } from '../../../shared/model/move.ts';

const half: DomainState = { state: 'paused', reason: 'paused-postcopy-failed' };

describe('a source that libvirt stopped for a post-copy that failed', () => {
  const seen = (status: string | Error, destination = false) =>
    see(
      {
        state: async () => half,
        qemuMonitorCommand: async () => {
          if (status instanceof Error) throw status;
          return { status };
        },
      } as unknown as Connection,
      'u',
      destination,
    );

  it.each([
    ['failed', 'flip-failed'],
    ['cancelled', 'flip-failed'],
    // It can be resumed, and is let go by nothing else (QEMU 7.2).
    ['postcopy-paused', 'postcopy-source'],
    ['postcopy-active', 'postcopy-source'],
  ])('of whose migration QEMU says %s is %s', async (status, expected) => {
    expect(await seen(status)).toBe(expected);
  });

  it('is unknown where QEMU does not say', async () => {
    expect(await seen(new Error('the monitor does not answer'))).toBe('unknown');
  });

  it('runs once it was woken, whatever libvirt calls that', async () => {
    const woken: DomainState = { state: 'running', reason: 'running-postcopy-failed' };
    const connection = { state: async () => woken } as unknown as Connection;
    expect(await see(connection, 'u', false)).toBe('running');
    expect(await see(connection, 'u', true)).toBe('postcopy-destination');
  });

  it('is unknown where its libvirt cannot be reached', async () => {
    expect(await see(Promise.reject(new Error('nobody there')), 'u', false)).toBe('unknown');
  });

  it('is not taken for a destination', async () => {
    expect(await seen('failed', true)).toBe('postcopy-destination');
  });
});

/** Settles a move whose flip failed, with what is left at its destination; what was done, in order. */
async function settle(
  direction: Direction,
  receiver: DomainState,
  hostAnswers = true,
  visits: readonly unknown[] = [{ visit: 'v', state: 'running' }],
): Promise<readonly string[]> {
  const did: string[] = [];
  const note = (what: string) => async (): Promise<void> => void did.push(what);
  const end = (where: string, state: DomainState) => ({
    state: async () => state,
    destroy: note(`destroy ${where}`),
    qemuMonitorCommand: async (_uuid: string, { execute }: { execute: string }) => {
      if (execute !== 'query-migrate') did.push(`${execute === 'cont' ? 'wake' : execute} ${where}`);
    },
  });
  const effects = new MoveEffects({
    link: {
      state: hostAnswers ? 'up' : 'down',
      call: async (name: string) => {
        if (name !== 'visit.list') did.push(name);
        return { visits };
      },
    },
    visitLink: { visit: 'v', fence: () => did.push('fence'), connection: async () => end('away', half) },
    vm: {
      uuid: 'u',
      disk: {
        revoke: async (writer: string) => void did.push(`revoke ${writer}`),
        allow: async (writer: string) => void did.push(`allow ${writer}`),
      },
      connection: end('home', direction === 'out' ? half : receiver),
    },
    visitEnded: note('visit ended'),
  } as unknown as ConstructorParameters<typeof MoveEffects>[0]);
  const state = { phase: 'settling', direction, flipped: true, outcome: 'failed', resumeSource: true };
  await effects.settle({ data: direction === 'home' ? { balloonBytes: 1 } : {}, state } as unknown as MoveRun);
  return did;
}

describe('a source whose flip failed goes on only after its receiver', () => {
  const incoming: DomainState = { state: 'paused', reason: 'paused-migration' };
  const gone: DomainState = { state: 'shutoff', reason: 'shutoff-failed' };

  it('is fenced and ended at the host', async () => {
    const fenced = ['fence', 'revoke visit-v', 'allow home'];
    expect(await settle('out', incoming)).toEqual([...fenced, 'visit.end', 'visit ended', 'wake home']);
    expect(await settle('out', incoming, false)).toEqual([...fenced, 'visit ended', 'wake home']);
  });

  it('is fenced and ended at home', async () => {
    expect(await settle('home', incoming)).toEqual(['revoke home', 'destroy home', 'wake away', 'balloon away']);
    expect(await settle('home', gone)).toEqual(['revoke home', 'wake away', 'balloon away']);
  });

  it('is over with its visit, and asked nothing more', async () => {
    const over = { visit: 'v', state: 'gone', end: { why: 'host-restarted', at: '2026-11-20T10:00:00.000Z' } };
    expect(await settle('home', gone, true, [over])).toEqual(['revoke home']);
    expect(await settle('home', gone, true, [])).toEqual(['revoke home']);
  });
});
