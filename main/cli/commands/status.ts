import type { Command } from 'commander';
import type { Status } from '../../../shared/rpc.ts';
import {
  attention,
  decisionSentence,
  formatSince,
  guardWords,
  moveLine,
  pastVisitLine,
  suggestionCommand,
  visitLine,
} from '../../../shared/view/index.ts';
import { stayConnected } from '../../client/index.ts';
import { does, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { onInterrupts } from '../interrupts.ts';
import { type Output, printable } from '../output.ts';
import { cutTo } from '../table.ts';
import { hostTable } from './hosts.ts';
import { vmTable } from './vms.ts';

const clearScreen = '\u001b[H\u001b[J';

export function addStatus(program: Command): void {
  does<{ watch?: true }>(
    program
      .command('status')
      .description('VMs, hosts, moves under way and suggestions')
      .option('-w, --watch', 'keep showing it until Ctrl-C; waits for an engine that restarts')
      .addHelpText(
        'after',
        '\nWith --watch --json each change is one line.\n\nExamples:\n  homeward status\n  homeward status --watch',
      ),
    async ({ output }, { watch }) => {
      if (watch === true) return watchStatus(output);
      const status = await withEngine((engine) => engine.call('engine.status', {}));
      output.result(status, () => statusWords(status, output.columns, Date.now()));
      return exitCodes.ok;
    },
  );
}

function statusWords(status: Status, columns: number, nowMs: number): string {
  const cut = (line: string): string => `  ${cutTo(line, columns - 2)}`;
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', title, ...lines.map(cut)];
  const inner = columns - 2;
  const guard = guardWords(status);
  const suggestions = status.suggestions.flatMap((decision) => {
    const command = suggestionCommand(decision);
    return [decisionSentence(decision), ...(command === undefined ? [] : [`  ${command}`])];
  });
  return [
    cutTo(
      `${status.name}: engine ${status.version}, process ${status.pid}, for ${formatSince(status.startedAt, nowMs)}`,
      columns,
    ),
    ...section('To know', attention(status, nowMs)),
    ...section('Moves', status.moves.map(moveLine)),
    ...section('Suggestions', suggestions),
    ...section('Lid', guard === undefined ? [] : [guard]),
    ...section('VMs', vmTable(status, inner, nowMs).split('\n')),
    ...section('Hosts', hostTable(status.hosts, inner).split('\n')),
    ...(status.host.enabled ? section('Visitors', visitors(status, nowMs)) : []),
  ].join('\n');
}

function visitors({ host }: Status, nowMs: number): string[] {
  const where = host.port === undefined ? 'Not listening yet.' : `Listening on port ${host.port}.`;
  return [
    where,
    ...host.visitors.map((visit) => visitLine(visit, nowMs)),
    ...(host.past ?? []).map((visit) => pastVisitLine(visit, nowMs)),
  ];
}

async function watchStatus(output: Output): Promise<number> {
  const stop = new AbortController();
  const stopListening = onInterrupts(() => stop.abort());
  const redraw = !output.json && process.stdout.isTTY;
  const show = (status: Status): void => {
    if (redraw) {
      const words = printable(statusWords(status, output.columns, Date.now()));
      process.stdout.write(
        clearScreen +
          words
            .split('\n')
            .slice(0, process.stdout.rows - 1)
            .join('\n'),
      );
    } else {
      output.result(status, () => `${statusWords(status, output.columns, Date.now())}\n\n`);
    }
  };
  try {
    await stayConnected({
      listeners: { status: show },
      signal: stop.signal,
      connected: async (engine) => show(await engine.call('engine.status', {})),
      lost: () => {
        output.note('\nThe engine has ended. Waiting for it; start it with: homeward engine --detach');
        output.event({ event: 'lost' });
      },
    });
    return exitCodes.interrupted;
  } finally {
    if (redraw) process.stdout.write('\n');
    stopListening();
  }
}
