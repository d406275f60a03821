import type { Command } from 'commander';
import { HomewardError } from '../../../shared/errors.ts';
import type { Decision } from '../../../shared/rpc.ts';
import { calculationFigures, decisionSentence } from '../../../shared/view/index.ts';
import { findVm } from '../choose.ts';
import { asks, does, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

/** why, notnow, forget. */
export function addPolicy(program: Command): void {
  asks<object, Decision>(
    program
      .command('why')
      .description('what the policy thinks of a VM now, "stay" included, and the figures behind it')
      .argument('<vm>', 'name or UUID')
      .addHelpText('after', '\nExamples:\n  homeward why work\n  homeward why work --json'),
    async (engine, _options, key = '') => {
      const { vms, decisions } = await engine.call('engine.status', {});
      const vm = findVm(vms, key);
      const decision = decisions.find((one) => one.vm === vm.uuid);
      if (decision !== undefined) return decision;
      throw new HomewardError('bad-input', `Nothing is decided about ${vm.name} now.`, {
        hint: `It must run, rest between moves, and be watched: homeward auto ${vm.name} suggest`,
      });
    },
    decisionWords,
  );

  does<{ never?: true }>(
    program
      .command('notnow')
      .description('put off what is suggested for a VM: the same is not suggested again for half an hour')
      .argument('<vm>', 'name or UUID')
      .option('--never', 'never suggest that host for it again, until you move it there yourself')
      .addHelpText(
        'after',
        '\nAnother move may still be suggested; to hear of none: homeward auto VM off' +
          '\n\nExamples:\n  homeward notnow work\n  homeward notnow work --never',
      ),
    async ({ output }, { never }, vm = '') => {
      const params = never === true ? { vm, forEver: true } : { vm };
      const answer = await withEngine((engine) => engine.call('suggestion.dismiss', params));
      output.result(answer, () =>
        never === true
          ? 'Never: that host is not suggested for it again, until you move it there yourself.'
          : 'Not now: it is not suggested again for half an hour.',
      );
      return exitCodes.ok;
    },
  );

  does(
    program
      .command('forget')
      .description('erase what was learnt of a VM, or of all: lengths of work, program names, "not now" and "never"')
      .argument('[vm]', 'name or UUID; all VMs where left out')
      .addHelpText('after', '\nExamples:\n  homeward forget work\n  homeward forget'),
    async ({ output }, _options, vm) => {
      const answer = await withEngine((engine) => engine.call('policy.forget', vm === undefined ? {} : { vm }));
      output.result(answer, () => `What was learnt of ${vm ?? 'all VMs'} is erased.`);
      return exitCodes.ok;
    },
  );
}

function decisionWords(decision: Decision): string {
  const figures = calculationFigures(decision);
  const width = Math.max(0, ...figures.map(({ label }) => label.length));
  return [decisionSentence(decision), ...figures.map(({ label, value }) => `  ${label.padEnd(width)}  ${value}`)].join(
    '\n',
  );
}
