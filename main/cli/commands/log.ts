import type { Command } from 'commander';
import type { Finding, LogEntry } from '../../../shared/rpc.ts';
import { logSentence, sentence } from '../../../shared/view/index.ts';
import { parseWhole } from '../choose.ts';
import { asks, does, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

/** log, doctor. */
export function addLog(program: Command): void {
  asks<{ lines: string }, LogEntry[]>(
    program
      .command('log')
      .description('what happened: moves, decisions, events; oldest first')
      .option('-n, --lines <number>', 'how many of the latest', '20')
      .addHelpText('after', '\nExamples:\n  homeward log\n  homeward log -n 100 --json'),
    async (engine, { lines }) => {
      const newestFirst = await engine.call('log.list', { limit: parseWhole(lines, '--lines', 1, 10_000) });
      return newestFirst.toReversed();
    },
    (entries) => (entries.length === 0 ? 'Nothing has happened yet.' : entries.map(logLine).join('\n')),
  );

  does(
    program
      .command('doctor')
      .description('look for what would keep moves from working, and say what to do; exit code 1 for a problem')
      .addHelpText('after', '\nExample:\n  homeward doctor'),
    async ({ output }) => {
      const findings = await withEngine((engine) => engine.call('doctor.run', {}));
      output.result(findings, () => findings.map(findingWords).join('\n'));
      return findings.some(({ severity }) => severity === 'problem') ? exitCodes.failed : exitCodes.ok;
    },
  );
}

function logLine(entry: LogEntry): string {
  return `${localTime(entry.at)}  ${logSentence(entry)}`;
}

/** "2026-11-20 10:05:33" where the reader is. */
function localTime(at: string): string {
  const date = new Date(at);
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function findingWords(finding: Finding): string {
  const mark = { ok: 'ok      ', note: 'note    ', problem: 'PROBLEM ' }[finding.severity];
  if (finding.severity === 'ok') return `${mark} ${finding.title}`;
  const lines = [finding.detail, finding.remedy].filter((text) => text !== undefined && text !== '');
  const command = finding.command === undefined ? [] : [`  ${finding.command}`];
  return [
    `${mark} ${finding.title}`,
    ...[...lines.map((text) => sentence(text ?? '')), ...command].map((line) => `         ${line}`),
  ].join('\n');
}
