import { Argument, type Command } from 'commander';
import { createTwoFilesPatch } from 'diff';
import { Level, type Vm } from '../../../shared/model/vm.ts';
import type { Status } from '../../../shared/rpc.ts';
import { levelWords, sentence, vmView } from '../../../shared/view/index.ts';
import { findVm } from '../choose.ts';
import { type Context, does, type Outcome, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../table.ts';

/** vms, adopt, auto. */
export function addVms(program: Command): void {
  does(
    program
      .command('vms')
      .description('list the VMs of qemu:///session and qemu:///system')
      .addHelpText('after', '\nExample:\n  homeward vms --json'),
    async ({ output }) => {
      const status = await withEngine((engine) => engine.call('engine.status', {}));
      output.result(status.vms, () => vmTable(status, output.columns, Date.now()));
      return exitCodes.ok;
    },
  );

  does<AdoptOptions>(
    program
      .command('adopt')
      .description('make a VM ready to move: shows how its definition would change, then asks')
      .argument('<vm>', 'name or UUID')
      .option('--apply', 'change it without asking')
      .option('--undo', 'give the VM its former definition back')
      .option('-y, --yes', 'answer yes to the question')
      .addHelpText(
        'after',
        '\nWith --json nothing is asked: it changes only with --apply, --undo or --yes.' +
          '\n\nExamples:\n  homeward adopt work\n  homeward adopt work --apply\n  homeward adopt work --undo',
      ),
    (context, options, vm = '') =>
      options.undo === true ? release(context, vm, options) : adopt(context, vm, options),
  );

  does(
    program
      .command('auto')
      .description('how far Homeward may move a VM by itself; without a level, show it')
      .argument('<vm>', 'name or UUID')
      .addArgument(
        new Argument('[level]', 'off: by hand only; suggest: say so; automatic: move').choices(Level.options),
      )
      .addHelpText('after', '\nExamples:\n  homeward auto work automatic\n  homeward auto work'),
    async ({ output }, _options, key = '', level) => {
      const vm = await withEngine(async (engine) =>
        level === undefined
          ? findVm(await engine.call('vms.list', {}), key)
          : engine.call('vm.setLevel', { vm: key, level: Level.parse(level) }),
      );
      output.result(vm, () => `${vm.name}: ${vm.level} (${levelWords(vm.level)})`);
      return exitCodes.ok;
    },
  );
}

interface AdoptOptions {
  readonly apply?: true;
  readonly undo?: true;
  readonly yes?: true;
}

export function vmTable({ vms, moves }: Pick<Status, 'vms' | 'moves'>, columns: number, nowMs: number): string {
  if (vms.length === 0) return 'No VMs on qemu:///session or qemu:///system.';
  const rows = vms.map((vm) => {
    const view = vmView(vm, moves, nowMs);
    const moving = moves.some((move) => move.vm === vm.uuid);
    return [
      view.name,
      moving ? 'moving' : view.now,
      view.place,
      view.size,
      view.load ?? '',
      view.level,
      view.readiness,
    ];
  });
  return table(['NAME', 'STATE', 'PLACE', 'SIZE', 'LOAD', 'MOVES', 'READINESS'], rows, columns);
}

async function adopt({ output, asker }: Context, vm: string, options: AdoptOptions): Promise<Outcome> {
  const preview = await withEngine((engine) => engine.call('vm.adoptPreview', { vm }));
  const nothingToDo = preview.before === preview.after;
  output.note(nothingToDo ? 'The definition needs no change.' : previewWords(vm, preview));
  const sure = options.apply === true || options.yes === true;
  if (output.json && !sure) {
    output.result({ ...preview, applied: false }, () => '');
    return exitCodes.ok;
  }
  if (!sure && !(await asker.confirm(`Make ${vm} ready this way?`))) {
    output.note('Nothing was changed.');
    return exitCodes.cancelled;
  }
  const adopted = await withEngine((engine) => engine.call('vm.adopt', { vm }));
  output.result({ ...preview, applied: true, vm: adopted }, () => adoptedWords(adopted));
  return exitCodes.ok;
}

async function release({ output, asker }: Context, vm: string, options: AdoptOptions): Promise<Outcome> {
  const sure = options.yes === true || output.json;
  if (!sure && !(await asker.confirm(`Give ${vm} its former definition back? It can then no longer move smoothly.`))) {
    output.note('Nothing was changed.');
    return exitCodes.cancelled;
  }
  const released = await withEngine((engine) => engine.call('vm.release', { vm }));
  output.result(released, () => `${released.name} has its former definition back.`);
  return exitCodes.ok;
}

function previewWords(vm: string, preview: { before: string; after: string; changes: readonly string[] }): string {
  const patch = createTwoFilesPatch(`${vm}.xml now`, `${vm}.xml adopted`, preview.before, preview.after);
  // The first line is a rule meant for many files in one patch.
  const unified = patch.slice(patch.indexOf('---'));
  return `${unified}\n${preview.changes.map((change) => `- ${sentence(change)}`).join('\n')}`;
}

function adoptedWords(vm: Vm): string {
  const rest = vm.obstacles.map((obstacle) => `Still in the way: ${sentence(obstacle)}`);
  return [`${vm.name} is adopted${rest.length === 0 ? ' and ready to move' : ''}.`, ...rest].join('\n');
}
