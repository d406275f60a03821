import { expect, test, vi } from 'vitest';
import { startRpcServer } from '../../../main/engine/rpc-server.ts';
import type { Handlers } from '../../../shared/endpoint.ts';
import type { Calls, Status } from '../../../shared/rpc.ts';
import { hostSettings, pairing, status, vm, vmUuid } from './samples.ts';
import { type Script, scriptedEngine, startCli, startInTerminal } from './scripted-engine.ts';

vi.setConfig({ testTimeout: 30_000 });

const hosting: Script = {
  'host.configure': ({ enabled = true }) => ({ ...hostSettings, enabled }),
  'pair.pending': () => [],
  'pair.answer': ({ accept }) => ({ paired: accept }),
};

test('status --watch --json tells each change as a line, until Ctrl-C', async () => {
  let current: Status = status();
  const engine = await scriptedEngine({}, () => current);
  const cli = startCli(engine.env, ['status', '--watch', '--json'], 'open');
  await cli.sees(/"running"/);
  current = status({ vms: [vm({ state: 'paused' })] });
  engine.server.statusChanged();
  await cli.sees(/"paused"/);
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Status).vms[0]?.state),
  ).toEqual(['running', 'paused']);
});

test('status --watch redraws on a terminal and no line is wider than it', async () => {
  const engine = await scriptedEngine({});
  const cli = startInTerminal(engine.env, ['status', '--watch'], 40);
  await cli.sees(/VMs\r\n/);
  engine.server.statusChanged();
  await cli.sees(/VMs\r\n[\s\S]*VMs\r\n/);
  cli.child.stdin?.write('\u0003');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  const lines = stdout.replaceAll('\u001b[H\u001b[J', '\r\n').replace('^C', '').split('\r\n');
  expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(40);
});

test('status --watch waits for an engine that restarts', async () => {
  const engine = await scriptedEngine({});
  const cli = startCli(engine.env, ['status', '--watch'], 'open');
  await cli.sees(/process 4242/);
  await engine.server.close();
  await cli.sees(/The engine has ended\. Waiting for it/);
  const restarted = () => status({ pid: 4343 });
  const next = await startRpcServer({
    socketFile: `${engine.folder}/homeward/engine.sock`,
    handlers: new Proxy(
      {},
      { getOwnPropertyDescriptor: () => ({ configurable: true }), get: () => restarted },
    ) as Handlers<Calls>,
    status: restarted,
    onFault: () => undefined,
  });
  try {
    await cli.sees(/process 4343/);
    cli.child.kill('SIGINT');
    expect((await cli.ended).code).toBe(130);
  } finally {
    await next.close();
  }
});

test('host, with an engine running, shows pairing codes one after another and asks', async () => {
  const engine = await scriptedEngine(hosting, () => status({ host: { enabled: true, port: 7420, visitors: [] } }));
  const cli = startInTerminal(engine.env, ['host']);
  await cli.sees(/takes visitors on port 7420[\s\S]*Pair with eva from your laptop[\s\S]*Ctrl-C ends this/);
  const laptop = pairing({ role: 'host', peerName: 'laptop' });
  engine.server.publish('pairing', laptop);
  engine.server.publish('pairing', laptop);
  engine.server.publish('pairing', pairing({ role: 'host', peerName: 'stranger', id: 'd'.repeat(32), code: '654321' }));
  engine.server.publish('pairing', pairing({ id: 'e'.repeat(32), peerName: 'own' }));
  await cli.sees(/laptop wants to let its VMs run on this computer\.[\s\S]*123 456[\s\S]*\[y\/N\]/);
  expect(cli.text()).not.toContain('654 321');
  cli.child.stdin?.write('y\n');
  await cli.sees(/Paired with laptop\.[\s\S]*654 321[\s\S]*\[y\/N\]/);
  cli.child.stdin?.write('n\n');
  await cli.sees(/Not paired with stranger\./);
  cli.child.stdin?.write('\u0003');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(stdout).toContain('This computer stays a host; end that with: homeward host off');
  expect(stdout).not.toContain('Pairing with own');
  const answers = engine.asked.filter(({ call }) => call === 'pair.answer').map(({ params }) => params);
  expect(answers).toEqual([
    { id: laptop.id, accept: true },
    { id: 'd'.repeat(32), accept: false },
  ]);
});

test('a yes typed before the question is there is not its answer', async () => {
  const engine = await scriptedEngine(hosting);
  const cli = startInTerminal(engine.env, ['host']);
  await cli.sees(/Ctrl-C ends this/);
  engine.server.publish('pairing', pairing({ role: 'host', peerName: 'first' }));
  await cli.sees(/Does first show/);
  cli.child.stdin?.write('n\ny\ny\n');
  await cli.sees(/Not paired with first/);
  engine.server.publish('pairing', pairing({ role: 'host', peerName: 'second', id: 'd'.repeat(32) }));
  await cli.sees(/Does second show/);
  cli.child.stdin?.write('n\n');
  await cli.sees(/Not paired with second/);
  cli.child.stdin?.write('\u0003');
  await cli.ended;
});

test('Ctrl-C at a pairing question refuses it', async () => {
  const engine = await scriptedEngine({
    ...hosting,
    'pair.pending': () => [pairing({ role: 'host', peerName: 'laptop' })],
  });
  const cli = startInTerminal(engine.env, ['host']);
  await cli.sees(/Does laptop show the same code/);
  cli.child.stdin?.write('\u0003');
  expect((await cli.ended).code).toBe(130);
  expect(engine.asked).toContainEqual({ call: 'pair.answer', params: { id: pairing().id, accept: false } });
});

test('host tells who visits, and ends with exit code 3 when the engine does', async () => {
  let current = status({ host: { enabled: true, port: 7420, visitors: [] } });
  const engine = await scriptedEngine(hosting, () => current);
  const cli = startCli(engine.env, ['host'], 'open');
  await cli.sees(/Ctrl-C ends this/);
  const since = new Date().toISOString();
  current = status({
    host: {
      enabled: true,
      port: 7420,
      visitors: [
        {
          visit: '1'.repeat(32),
          vm: vmUuid,
          vmName: 'guest',
          state: 'incoming',
          since,
          memoryBytes: 2 ** 29,
          vcpus: 1,
        },
      ],
    },
  });
  engine.server.statusChanged();
  await cli.sees(/guest: arriving, 1 vCPU, 512 MiB, for a moment/);
  await engine.server.close();
  expect(await cli.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('The engine has ended.') });
});

test('host --json tells pairings and answers none', async () => {
  const engine = await scriptedEngine(hosting);
  const cli = startCli(engine.env, ['host', '--json', '--max-visitors', '1'], 'open');
  await cli.sees(/"ready"/);
  engine.server.publish('pairing', pairing({ role: 'host', peerName: 'laptop' }));
  await cli.sees(/"event":"pairing"/);
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event),
  ).toEqual(['ready', 'pairing']);
  expect(engine.asked).toContainEqual({ call: 'host.configure', params: { enabled: true, maxVisitors: 1 } });
  expect(engine.asked.some(({ call }) => call === 'pair.answer')).toBe(false);
});
