import { expect, test, vi } from 'vitest';
import { barText } from '../../../main/cli/progress.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Move } from '../../../shared/model/move.ts';
import { ended, move, moving } from './samples.ts';
import { type Script, type ScriptedEngine, scriptedEngine, startCli, startInTerminal } from './scripted-engine.ts';

vi.setConfig({ testTimeout: 30_000 });

const cancelled = ended({ phase: 'failed', failure: 'cancelled before the switch' });

/** An engine on which a move goes on until the test ends it. */
async function longMove(script: Script = {}): Promise<ScriptedEngine & { readonly end: (move: Move) => void }> {
  let end: (move: Move) => void = () => undefined;
  const over = new Promise<Move>((resolve) => {
    end = resolve;
  });
  const engine = await scriptedEngine({ 'move.offload': () => move(), 'move.wait': () => over, ...script });
  return { ...engine, end: (last) => end(last) };
}

test('without a terminal each phase is one line on stderr, the result one on stdout', async () => {
  const engine = await longMove();
  const cli = startCli(engine.env, ['offload', 'work']);
  await cli.sees(/about to start/);
  const phases = [moving(), moving(), moving({ phase: 'postcopy' }), move({ phase: 'settling' })];
  for (const phase of phases) engine.server.publish('move', phase);
  engine.server.publish('move', moving({ id: 'f'.repeat(32), vmName: 'another' }));
  await cli.sees(/tidying up/);
  engine.end(ended());
  expect(await cli.ended).toEqual({
    code: 0,
    stdout: 'work now runs at tower. The move took 5.3 s, paused the VM for 120 ms and sent 482 MiB.\n',
    stderr: [
      'work → tower: about to start',
      'work → tower: copying memory, 62 %, 190 MiB of 512 MiB left, 22 MiB/s, about 8.6 s',
      'work → tower: running there, fetching the rest of its memory, 62 %, 190 MiB of 512 MiB left, 22 MiB/s, about 8.6 s',
      'work → tower: running there, tidying up',
      '',
    ].join('\n'),
  });
});

test('with --json progress is JSON lines on stderr', async () => {
  const engine = await longMove();
  const cli = startCli(engine.env, ['offload', 'work', '--json']);
  await cli.sees(/planned/);
  engine.server.publish('move', moving());
  await cli.sees(/copying/);
  engine.end(ended());
  const { code, stdout, stderr } = await cli.ended;
  const lines = stderr.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { event: 'move', move: move() },
    { event: 'move', move: moving() },
  ]);
  expect([code, JSON.parse(stdout)]).toEqual([0, ended()]);
});

test('on a terminal one line is redrawn and gone at the end', async () => {
  const engine = await longMove();
  const cli = startInTerminal(engine.env, ['offload', 'work'], 120);
  await cli.sees(/about to start/);
  engine.server.publish('move', moving());
  await cli.sees(/█{12}░{8} {2}62 % {2}190 MiB of 512 MiB left {2}22 MiB\/s {2}about 8\.6 s/);
  engine.end(ended());
  const { code, stdout } = await cli.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/work now runs at tower\..*\r\n/);
  expect(stdout.endsWith('sent 482 MiB.\r\n'), 'nothing after the result').toBe(true);
});

test('on a narrow terminal no line wraps', async () => {
  const engine = await longMove();
  const cli = startInTerminal(engine.env, ['offload', 'work'], 36);
  await cli.sees(/about to start/);
  engine.server.publish('move', moving());
  await cli.sees(/copying memory {2}62 %/);
  expect(cli.text()).not.toContain('190 MiB');
  engine.end(ended());
  await cli.ended;
});

test.each([
  [120, 'work → tower: copying memory  ████████████░░░░░░░░  62 %  190 MiB of 512 MiB left  22 MiB/s  about 8.6 s'],
  [80, 'work → tower: copying memory  ████████████░░░░░░░░  62 %  22 MiB/s  about 8.6 s'],
  [60, 'work → tower: copying memory  62 %  22 MiB/s  about 8.6 s'],
  [40, 'work → tower: copying memory  62 %'],
  [20, 'work → tower: copyi…'],
])('of what a bar says, the most telling fits %i columns', (columns, text) => {
  expect(barText(moving(), columns)).toBe(text);
});

test('Ctrl-C asks the engine to cancel, and the command ends with exit code 5', async () => {
  const engine: ScriptedEngine & { end: (move: Move) => void } = await longMove({
    'move.cancel': () => {
      setTimeout(() => engine.end(cancelled), 50);
      return move();
    },
  });
  const cli = startInTerminal(engine.env, ['offload', 'work']);
  await cli.sees(/about to start/);
  cli.child.stdin?.write('\u0003');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(5);
  expect(stdout).toContain('Cancelling. Ctrl-C again leaves the move to the engine.');
  expect(stdout).toContain('The move was cancelled. work still runs at home.');
  expect(engine.asked).toContainEqual({ call: 'move.cancel', params: { vm: move().vm } });
});

test('when it is too late to cancel it says so; a second Ctrl-C leaves the move to the engine', async () => {
  const engine = await longMove({
    'move.cancel': () => {
      throw new HomewardError('too-late', 'work already runs at tower; the move can only be finished.');
    },
  });
  const cli = startCli(engine.env, ['offload', 'work']);
  await cli.sees(/about to start/);
  cli.child.kill('SIGINT');
  await cli.sees(/can only be finished\. Ctrl-C again leaves the move to the engine\./);
  await new Promise((resolve) => setTimeout(resolve, 150));
  cli.child.kill('SIGINT');
  const { code, stderr } = await cli.ended;
  expect(code).toBe(130);
  expect(stderr).toContain(
    'Stopped watching; the move goes on in the engine.\n  See how it goes with: homeward status --watch',
  );
  expect(engine.asked.filter(({ call }) => call === 'move.cancel')).toHaveLength(1);
});

test('one Ctrl-C that arrives twice, from a terminal and a wrapper, counts once', async () => {
  const engine = await longMove({ 'move.cancel': () => move() });
  const cli = startCli(engine.env, ['offload', 'work']);
  await cli.sees(/about to start/);
  cli.child.kill('SIGINT');
  cli.child.kill('SIGINT');
  await cli.sees(/Cancelling/);
  engine.end(cancelled);
  expect((await cli.ended).code).toBe(5);
});

test('an engine that ends in the middle of a move is told, with exit code 3', async () => {
  const engine = await longMove();
  const cli = startCli(engine.env, ['offload', 'work']);
  await cli.sees(/about to start/);
  await engine.server.close();
  expect(await cli.ended).toMatchObject({
    code: 3,
    stdout: '',
    stderr: expect.stringMatching(
      /homeward: The engine ended while it was being asked\.\n {2}A move under way is completed or undone by the next engine\./,
    ),
  });
});

test('an engine that ends in the middle of a move is told as JSON', async () => {
  const engine = await longMove();
  const cli = startCli(engine.env, ['offload', 'work', '--json']);
  await cli.sees(/planned/);
  await engine.server.close();
  const { code, stdout } = await cli.ended;
  expect([code, JSON.parse(stdout)]).toEqual([3, { error: expect.objectContaining({ code: 'engine-not-running' }) }]);
});
