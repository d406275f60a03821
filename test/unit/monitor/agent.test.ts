import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LibvirtError, libvirtErrorCode } from '../../../main/libvirt/index.ts';
import { Agent, type AgentCommand } from '../../../main/monitor/agent.ts';

const cpu = (iowait: number, idle: number) => [{ type: 'linux', cpu: 0, user: 1_000, system: 500, iowait, idle }];
const stat = (pid: number, name: string, ticks: number, since = 500) =>
  `${pid} (${name}) R 1 1 1 0 -1 4194304 100 0 0 0 ${ticks} 0 0 0 20 0 1 0 ${since} 4096 10 18446744073709551615\n`;

const refusal = new LibvirtError({
  kind: 'libvirt',
  code: libvirtErrorCode.INTERNAL_ERROR,
  domain: 10,
  level: 2,
  message: 'unable to execute QEMU agent command: The command has not been found',
});
const libvirtSays = (code: number) => new LibvirtError({ kind: 'libvirt', code, domain: 10, level: 2, message: 'no' });

type Answer = (args: AgentCommand['arguments'], seconds: number) => unknown;

/** An agent that knows these commands and no other. */
function fake(commands: Readonly<Record<string, Answer>>) {
  const clock = { ms: 0, now: () => 0, monotonicMs: () => clock.ms };
  const asked: string[] = [];
  const ask = async ({ execute, arguments: args }: AgentCommand) => {
    asked.push(execute);
    const answer = Object.hasOwn(commands, execute) ? commands[execute] : undefined;
    if (answer === undefined) throw refusal;
    return answer(args, clock.ms / 1_000);
  };
  const agent = new Agent(ask, clock, () => Promise.resolve());
  const tickAt = async (seconds: number) => {
    clock.ms = seconds * 1_000;
    await agent.tick();
    return agent.figures;
  };
  return { agent, clock, asked, tickAt };
}

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');
/** Runs what it is told and says so at once, as `list` has it at that second. */
const processes = (list: (seconds: number) => string): Readonly<Record<string, Answer>> => ({
  'guest-exec': () => ({ pid: 7 }),
  'guest-exec-status': (_args, seconds) => ({ exited: true, exitcode: 0, 'out-data': base64(list(seconds)) }),
});
const files = (content: Readonly<Record<string, (seconds: number) => string>>): Readonly<Record<string, Answer>> => {
  const paths = Object.keys(content);
  return {
    'guest-file-open': (args) => paths.indexOf(String(args?.['path'])),
    'guest-file-read': (args, seconds) => {
      const text = content[paths[Number(args?.['handle'])] ?? '']?.(seconds) ?? '';
      return { count: text.length, 'buf-b64': base64(text), eof: true };
    },
    'guest-file-close': () => ({}),
  };
};

describe('Agent', () => {
  it('gives the guest’s load and the share of time it waited for disks', async () => {
    const { tickAt, agent } = fake({
      'guest-get-load': (_args, seconds) => ({ load1m: 1.5 + seconds, load5m: 1, load15m: 1 }),
      'guest-get-cpustats': (_args, seconds) => (seconds === 0 ? cpu(100, 1_000) : cpu(600, 1_500)),
    });
    expect(await tickAt(0)).toEqual({ guestLoad1: 1.5 });
    expect(await tickAt(10)).toEqual({ guestLoad1: 11.5, guestIowait: 0.5 });
    expect(agent.trouble).toBeUndefined();
  });

  it('reads the same from /proc of a guest whose agent is older, and closes what it opened', async () => {
    const { tickAt, asked } = fake(
      files({
        '/proc/loadavg': () => '0.75 0.50 0.25 2/90 812\n',
        '/proc/stat': (seconds) => `cpu  ${seconds * 60} 0 0 ${seconds * 20} ${seconds * 20} 0 0 0 0 0\ncpu0 1 2\n`,
      }),
    );
    await tickAt(0);
    expect(await tickAt(10)).toEqual({ guestLoad1: 0.75, guestIowait: 0.2 });
    expect(asked.filter((name) => name === 'guest-file-close')).toHaveLength(4);
    // A command it does not know is asked for once.
    expect(asked.filter((name) => name === 'guest-get-load')).toHaveLength(1);
  });

  it('names the program that used most CPU time since the last look, its processes taken together', async () => {
    const { tickAt } = fake(
      processes((seconds) =>
        seconds === 0
          ? stat(10, 'Xorg', 90_000) + stat(11, 'make', 5)
          : stat(10, 'Xorg', 90_300) + stat(11, 'make', 9) + stat(20, 'cc1', 250) + stat(21, 'cc1', 240),
      ),
    );
    expect(await tickAt(0)).toEqual({});
    expect(await tickAt(10)).toEqual({ guestProgram: 'cc1' });
  });

  it('tells how far the busiest program has read its largest input, while it stays the busiest', async () => {
    const open = (pid: number, position: number) =>
      `\n=== inputs\n/proc/${pid}/fdinfo/0:pos:\t0\n/proc/${pid}/fdinfo/0:flags:\t0100002\n` +
      `/proc/${pid}/fdinfo/3:pos:\t${position}\n/proc/${pid}/fdinfo/3:flags:\t02100000\n` +
      `/proc/${pid}/fdinfo/4:pos:\t9999999\n/proc/${pid}/fdinfo/4:flags:\t0101101\n` +
      `/proc/${pid}/fd/0 character special file 0\n/proc/${pid}/fd/3 regular file 4000000\n/proc/${pid}/fd/4 regular file 9999999\n`;
    const { tickAt } = fake(
      processes((seconds) =>
        seconds < 40
          ? stat(10, 'ffmpeg', seconds * 90) +
            stat(11, 'sh', seconds) +
            (seconds >= 20 ? open(10, seconds * 50_000) : '')
          : stat(11, 'sh', seconds * 90) + open(10, 3_000_000),
      ),
    );
    await tickAt(0);
    expect(await tickAt(10)).toEqual({ guestProgram: 'ffmpeg' });
    expect(await tickAt(20)).toEqual({ guestProgram: 'ffmpeg', guestProgress: 0.25 });
    expect(await tickAt(30)).toEqual({ guestProgram: 'ffmpeg', guestProgress: 0.375 });
    expect(await tickAt(40)).toEqual({ guestProgram: 'sh' });
  });

  it('its commands do tell that of a real process', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'agent-'));
    const file = join(folder, 'input');
    await writeFile(file, Buffer.alloc(4 * 1024 * 1024));
    // Reads a quarter, then computes.
    const reader = spawn('sh', ['-c', 'exec 3<"$1"; head -c 1048576 <&3 >/dev/null; while :; do :; done', 'sh', file]);
    onTestFinished(async () => {
      reader.kill('SIGKILL');
      await rm(folder, { recursive: true });
    });
    let lastOutput = '';
    const agent = new Agent(
      async ({ execute, arguments: args }) => {
        if (execute === 'guest-exec-status') return { exited: true, 'out-data': lastOutput };
        if (execute !== 'guest-exec') throw refusal;
        const { stdout } = await promisify(execFile)(String(args?.['path']), Object(args?.['arg']), { maxBuffer: 1e7 });
        const own = stdout.split('\n').filter((line) => !/^\d/.test(line) || line.startsWith(`${reader.pid} `));
        lastOutput = base64(own.join('\n'));
        return { pid: 7 };
      },
      { now: () => 0, monotonicMs: () => performance.now() * 5 },
      () => Promise.resolve(),
    );
    await expect
      .poll(
        async () => {
          await agent.tick();
          return agent.figures.guestProgress;
        },
        { timeout: 15_000, interval: 2_100 },
      )
      .toBe(0.25);
  });

  it('names none where nothing was busy, and takes a reused PID for another process', async () => {
    const { tickAt } = fake(
      processes((seconds) => (seconds === 0 ? stat(10, 'old', 500) : stat(10, 'new', seconds === 10 ? 600 : 601, 900))),
    );
    await tickAt(0);
    expect(await tickAt(10)).toEqual({ guestProgram: 'new' });
    expect(await tickAt(20)).toEqual({});
  });

  it.each([
    ['a name with a line break', 'a\nb'],
    ['a name with markup', '<b>x</b>'],
    ['a name that would change an object', '__proto__'],
    ['a name that is too long', 'x'.repeat(64)],
  ])('takes no %s', async (_what, name) => {
    const { tickAt, agent } = fake(processes((seconds) => stat(10, name, seconds * 100)));
    await tickAt(0);
    expect(await tickAt(10)).toEqual({});
    expect(agent.trouble).toBeUndefined();
  });

  it('starts nothing in a guest that will not tell what became of it', async () => {
    const { tickAt, asked } = fake({ 'guest-exec': () => ({ pid: 7 }), 'guest-get-load': () => ({ load1m: 1 }) });
    await tickAt(0);
    await tickAt(10);
    expect(asked.filter((name) => name === 'guest-exec')).toHaveLength(1);
  });

  it('closes a file of which it was told nonsense', async () => {
    const { tickAt, asked, agent } = fake({
      ...files({ '/proc/loadavg': () => '' }),
      'guest-file-read': () => ({ 'buf-b64': 1 }),
    });
    await tickAt(0);
    expect(asked).toContain('guest-file-close');
    expect(agent.trouble).toBe('nonsense');
  });

  it('gives up on a program that does not end in the guest', async () => {
    const { tickAt, asked } = fake({
      'guest-exec': () => ({ pid: 7 }),
      'guest-exec-status': () => ({ exited: false }),
      'guest-get-load': () => ({ load1m: 1 }),
    });
    expect(await tickAt(0)).toEqual({ guestLoad1: 1 });
    expect(asked.filter((name) => name === 'guest-exec-status').length).toBeLessThan(10);
  });

  it.each([
    ['a negative load', { load1m: -1 }],
    ['a load beyond reason', { load1m: 1e9 }],
    ['a load that is no number', { load1m: 'NaN' }],
    ['no load', {}],
    ['nothing', null],
    ['an array', []],
  ])('believes nothing of an agent that tells %s', async (_what, answer) => {
    const { tickAt, agent } = fake({ 'guest-get-load': () => answer, 'guest-get-cpustats': () => cpu(0, 1) });
    expect(await tickAt(0)).toEqual({});
    expect(agent.trouble).toBe('nonsense');
  });

  it.each([
    ['no vCPU', []],
    ['negative times', cpu(-1, 1)],
    ['infinite times', cpu(Number.POSITIVE_INFINITY, 1)],
    ['more vCPUs than there can be', Array.from({ length: 5_000 }, () => cpu(1, 1)[0])],
  ])('nor of one that tells %s', async (_what, answer) => {
    const { tickAt, agent } = fake({ 'guest-get-cpustats': () => answer });
    expect(await tickAt(0)).toEqual({});
    expect(agent.trouble).toBe('nonsense');
  });

  it.each([
    ['is no base64', '***'],
    ['is longer than was asked for', base64('x'.repeat(300_000))],
  ])('nor of one whose program’s output %s', async (_what, data) => {
    const { tickAt, agent } = fake({
      'guest-exec': () => ({ pid: 7 }),
      'guest-exec-status': () => ({ exited: true, 'out-data': data }),
    });
    expect(await tickAt(0)).toEqual({});
    expect(agent.trouble).toBe('nonsense');
  });

  it('skips lines of a process list that the kernel never wrote', async () => {
    const { tickAt } = fake(
      processes((seconds) => `junk\n7 (cut) R 1 1\n${stat(10, 'ffmpeg', seconds * 90)}${'9'.repeat(100_000)}\n`),
    );
    await tickAt(0);
    expect(await tickAt(10)).toEqual({ guestProgram: 'ffmpeg' });
  });

  it.each([
    ['silent', 'nobody answers', libvirtSays(libvirtErrorCode.AGENT_UNRESPONSIVE)],
    ['nonsense', 'the answer is malformed', new SyntaxError('Unexpected token')],
    ['nonsense', 'the answer is larger than libvirt lets through', libvirtSays(libvirtErrorCode.RPC)],
  ])(
    'is %s where %s; each time it is then left alone for twice as long, up to five minutes',
    async (trouble, _what, error) => {
      const { tickAt, agent, asked } = fake({
        'guest-get-load': () => {
          throw error;
        },
      });
      await tickAt(0);
      expect(agent.trouble).toBe(trouble);
      await tickAt(19);
      expect(asked).toHaveLength(1);
      await tickAt(21);
      await tickAt(60);
      expect(asked).toHaveLength(2);
      for (let seconds = 62; seconds < 2_000; seconds += 1) await tickAt(seconds);
      const before = asked.length;
      for (let seconds = 2_000; seconds < 3_200; seconds += 1) await tickAt(seconds);
      expect(asked.length - before).toBe(4);
    },
  );

  it('says so where every command is refused, and believes a later agent again', async () => {
    const commands: Record<string, Answer> = {};
    const { tickAt, agent } = fake(commands);
    await tickAt(0);
    expect(agent.trouble).toBe('refuses');
    commands['guest-get-load'] = () => ({ load1m: 3 });
    expect(await tickAt(21)).toEqual({ guestLoad1: 3 });
    expect(agent.trouble).toBeUndefined();
  });

  it('says nothing of disk wait across a reboot of the guest', async () => {
    const { tickAt } = fake({
      'guest-get-load': () => ({ load1m: 1 }),
      'guest-get-cpustats': (_args, seconds) => (seconds === 0 ? cpu(900, 90_000) : cpu(1, 10)),
    });
    await tickAt(0);
    expect(await tickAt(10)).toEqual({ guestLoad1: 1 });
  });

  it('forgets what it was told half a minute ago', async () => {
    const { tickAt, agent, clock } = fake({ 'guest-get-load': () => ({ load1m: 1 }) });
    await tickAt(0);
    clock.ms = 30_001;
    expect(agent.figures).toEqual({});
  });

  it('does not ask a second time while it waits', async () => {
    const clock = { now: () => 0, monotonicMs: () => 0 };
    const never = Promise.withResolvers<unknown>();
    let asked = 0;
    const agent = new Agent(
      () => {
        asked += 1;
        return never.promise;
      },
      clock,
      () => Promise.resolve(),
    );
    void agent.tick();
    await agent.tick();
    expect(asked).toBe(1);
  });
});
