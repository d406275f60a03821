import { describe, expect, test } from 'vitest';
import { Source } from '../../../main/power/source.ts';

class BusError extends Error {
  readonly dbusName: string;

  constructor(dbusName: string) {
    super(dbusName);
    this.dbusName = dbusName;
  }
}

/** A service that answers, or does not. */
function service(everyMs = 1_000) {
  let asked = 0;
  let answer: () => Promise<string> = async () => 'fine';
  const source = new Source(() => {
    asked += 1;
    return answer();
  }, everyMs);
  return {
    source,
    asked: () => asked,
    answers: () => {
      answer = async () => 'fine again';
    },
    fails: (name: string) => {
      answer = () => Promise.reject(new BusError(name));
    },
    hangs: () => {
      const pending = Promise.withResolvers<string>();
      answer = () => pending.promise;
      return pending;
    },
  };
}

describe('figures of a service', () => {
  test.each([
    'org.freedesktop.DBus.Error.NoReply',
    'org.freedesktop.DBus.Error.Disconnected',
    'org.freedesktop.DBus.Error.AccessDenied',
  ])('one that fails with %s is asked again at the usual pace', async (name) => {
    const { source, asked, fails } = service();
    fails(name);
    for (let atMs = 0; atMs < 5_000; atMs += 1_000) await source.refresh(atMs);
    expect(asked()).toBe(5);
    expect(source.missing).toBe(true);
  });

  test.each([
    'org.freedesktop.DBus.Error.ServiceUnknown',
    'org.freedesktop.DBus.Error.NameHasNoOwner',
    'org.freedesktop.DBus.Error.Spawn.ChildExited',
    'org.freedesktop.systemd1.NoSuchUnit',
  ])('one that is not there (%s) is left in peace for a minute, unless it shows up', async (name) => {
    const { source, asked, fails } = service();
    fails(name);
    for (let atMs = 0; atMs < 60_000; atMs += 1_000) await source.refresh(atMs);
    expect(asked()).toBe(1);
    source.nudge();
    await source.refresh(60_000);
    expect(asked()).toBe(2);
  });

  test('what was read last stands in for half a minute, then nothing is known', async () => {
    const { source, fails, answers } = service();
    await source.refresh(0);
    fails('org.freedesktop.DBus.Error.NoReply');
    for (let atMs = 1_000; atMs <= 31_000; atMs += 1_000) {
      await source.refresh(atMs);
      expect(source.valueAt(atMs)).toBe('fine');
    }
    await source.refresh(32_000);
    expect(source.valueAt(32_000)).toBeUndefined();
    answers();
    await source.refresh(33_000);
    expect(source.valueAt(33_000)).toBe('fine again');
    expect(source.missing).toBe(false);
  });

  test('one that is started anew is not known as gone', async () => {
    const { source, fails, answers } = service();
    await source.refresh(0);
    fails('org.freedesktop.DBus.Error.NameHasNoOwner');
    await source.refresh(1_000);
    expect(source.valueAt(1_000)).toBe('fine');
    answers();
    source.nudge();
    await source.refresh(2_000);
    expect(source.valueAt(2_000)).toBe('fine again');
  });

  test('one that hangs is asked once, and again after a change that came meanwhile', async () => {
    const { source, asked, hangs, answers } = service();
    const pending = hangs();
    const first = source.refresh(0);
    const second = source.refresh(2_000);
    expect(asked()).toBe(1);
    source.nudge();
    answers();
    pending.resolve('late');
    await Promise.all([first, second]);
    expect(source.valueAt(3_000)).toBe('late');
    await source.refresh(3_000);
    expect(source.valueAt(3_000)).toBe('fine again');
  });
});
