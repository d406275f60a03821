import type { Decision, LogEntry, Pairing } from '../rpc.ts';
import { moveLine, moveSummary } from './move.ts';
import { formatCode, formatDuration, sentence } from './units.ts';

/** A decision as a sentence with its reason, and what it is expected to bring. */
export function decisionSentence(decision: Decision): string {
  return [headline(decision), expectation(decision)].filter((part) => part !== '').join(' ');
}

function headline({ action, outcome, vmName, hostName, reason }: Decision): string {
  const to = hostName === undefined ? 'away' : `to ${hostName}`;
  switch (action) {
    case 'stay':
      return `${vmName} stays where it is: ${sentence(reason)}`;
    case 'offload':
      if (outcome === 'acted') return `${vmName} moves ${to}: ${sentence(reason)}`;
      if (outcome === 'suggested') return `Suggestion: move ${vmName} ${to}. ${sentence(reason)}`;
      return `${vmName} would move ${to}: ${sentence(reason)}`;
    case 'home':
      if (outcome === 'acted') return `${vmName} comes home: ${sentence(reason)}`;
      if (outcome === 'suggested') return `Suggestion: bring ${vmName} home. ${sentence(reason)}`;
      return `${vmName} would come home: ${sentence(reason)}`;
  }
}

function expectation({ expectedGainS, expectedCostS }: Decision): string {
  const gain = expectedGainS === undefined ? undefined : `gain about ${formatDuration(expectedGainS * 1_000)}`;
  const cost = expectedCostS === undefined ? undefined : `cost about ${formatDuration(expectedCostS * 1_000)}`;
  const parts = [gain, cost].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : `Expected ${parts.join(', ')}.`;
}

/** What to do to accept a suggestion, as a command to copy; undefined where nothing was suggested. */
export function suggestionCommand({ action, outcome, vmName, hostName }: Decision): string | undefined {
  if (outcome !== 'suggested' || action === 'stay') return undefined;
  if (action === 'home') return `homeward home ${quoted(vmName)}`;
  return `homeward offload ${quoted(vmName)}${hostName === undefined ? '' : ` --to ${quoted(hostName)}`}`;
}

interface PairingView {
  /** "123 456". */
  readonly code: string;
  readonly title: string;
  readonly question: string;
}

export function pairingView(pairing: Pairing): PairingView {
  const { peerName } = pairing;
  return {
    code: formatCode(pairing.code),
    title:
      pairing.role === 'host'
        ? `${peerName} wants to let its VMs run on this computer.`
        : `Pairing with ${peerName}, where VMs of this computer may run.`,
    question: `Does ${peerName} show the same code?`,
  };
}

/** An entry of the log, without its time. */
export function logSentence(entry: LogEntry): string {
  switch (entry.kind) {
    case 'move':
      return entry.move.endedAt === undefined ? `${moveLine(entry.move)}.` : moveSummary(entry.move);
    case 'decision':
      return decisionSentence(entry.decision);
    case 'event':
      return sentence(entry.text);
  }
}

/** Safe to paste into a shell. */
function quoted(name: string): string {
  return /^[\w.:-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}
