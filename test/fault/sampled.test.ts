import { afterAll, expect, it } from 'vitest';
import type { Case } from './bed/matrix.ts';
import { FaultRun } from './bed/run.ts';

/** A few cases of `npm run bench:fault`: a person, programs of ours, the link, an empty battery. */
const sampled: readonly Case[] = [
  { moment: 'out/pre-copy', fault: 'ctrl-c' },
  { moment: 'idle-away', fault: 'nbdkit-killed' },
  { moment: 'home/pre-copy', fault: 'link-cut-3s' },
  { moment: 'out/post-copy', fault: 'migration-killed' },
  { moment: 'home/pre-copy', fault: 'home-off' },
];

const said: string[] = [];
const run = new FaultRun((line) => said.push(line));
afterAll(() => run.close());

it.each(sampled)('$fault at $moment: the VM ends as declared, runs once and is whole', async (one) => {
  const verdict = await run.play(one);
  expect(verdict?.complaints, said.join('\n')).toEqual([]);
});
