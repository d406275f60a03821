import { describe, expect, it } from 'vitest';
import { Agent } from '../../../main/monitor/agent.ts';

const cpu = (iowait: number, idle: number) => [{ type: 'linux', cpu: 0, user: 1_000, system: 500, iowait, idle }];

function scripted(answers: Readonly<Record<string, readonly unknown[]>>) {
  const clock = { ms: 0, now: () => 0, monotonicMs: () => clock.ms };
  const asked: string[] = [];
  const rest = new Map(Object.entries(answers).map(([name, list]) => [name, [...list]]));
  const agent = new Agent(({ execute }) => {
    asked.push(execute);
    const list = rest.get(execute);
    if (list === undefined || list.length === 0) return Promise.reject(new Error(`${execute}: not answered`));
    return Promise.resolve(list.shift());
  }, clock);
  const tickAt = async (seconds: number) => {
    clock.ms = seconds * 1_000;
    await agent.tick();
    return agent.figures;
  };
  return { agent, clock, asked, tickAt };
}

describe('Agent', () => {
  it('gives the guest’s load and the share of time it waited for disks', async () => {
    const { tickAt } = scripted({
      'guest-get-load': [{ load1m: 1.5, load5m: 1, load15m: 1 }, { load1m: 2 }],
      'guest-get-cpustats': [cpu(100, 1_000), cpu(600, 1_500)],
    });
    expect(await tickAt(0)).toEqual({ guestLoad1: 1.5 });
    expect(await tickAt(5)).toEqual({ guestLoad1: 2, guestIowait: 0.5 });
  });

  it('asks every five seconds, and does without a command an older agent does not know', async () => {
    const { tickAt, asked } = scripted({ 'guest-get-cpustats': [cpu(0, 0), cpu(0, 5_000), cpu(5_000, 5_000)] });
    await tickAt(0);
    await tickAt(2);
    expect(await tickAt(5)).toEqual({ guestIowait: 0 });
    expect(await tickAt(10)).toEqual({ guestIowait: 1 });
    expect(asked).toEqual(['guest-get-load', 'guest-get-cpustats', 'guest-get-cpustats', 'guest-get-cpustats']);
  });

  it('leaves a silent agent alone for five minutes', async () => {
    const { tickAt, asked } = scripted({});
    expect(await tickAt(0)).toEqual({});
    await tickAt(299);
    expect(asked).toHaveLength(2);
    await tickAt(301);
    expect(asked).toHaveLength(4);
  });

  it.each([
    ['a negative load', { load1m: -1 }],
    ['a load beyond reason', { load1m: 1e9 }],
    ['no number', { load1m: 'NaN' }],
    ['no load', {}],
    ['nothing', null],
  ])('refuses %s', async (_what, answer) => {
    const { tickAt } = scripted({ 'guest-get-load': [answer] });
    expect(await tickAt(0)).toEqual({});
  });

  it('says nothing of disk wait across a reboot of the guest', async () => {
    const { tickAt } = scripted({
      'guest-get-load': [{ load1m: 1 }, { load1m: 0 }],
      'guest-get-cpustats': [cpu(900, 90_000), cpu(1, 10)],
    });
    await tickAt(0);
    expect(await tickAt(5)).toEqual({ guestLoad1: 0 });
  });

  it('forgets what it was told 15 s ago', async () => {
    const { tickAt, agent, clock } = scripted({ 'guest-get-load': [{ load1m: 1 }] });
    await tickAt(0);
    clock.ms = 15_001;
    expect(agent.figures).toEqual({});
  });

  it('does not ask a second time while it waits', async () => {
    const clock = { now: () => 0, monotonicMs: () => 0 };
    const never = Promise.withResolvers<unknown>();
    let asked = 0;
    const agent = new Agent(() => {
      asked += 1;
      return never.promise;
    }, clock);
    void agent.tick();
    await agent.tick();
    expect(asked).toBe(1);
  });
});
