import type { Decision, LogEntry, Pairing } from '../rpc.ts';
import { moveLine, moveSummary } from './move.ts';
import type { Figure } from './timeline.ts';
import { count, formatBytes, formatCode, formatDuration, sentence } from './units.ts';

/** A decision as a sentence with its reason, and what it is expected to bring. */
export function decisionSentence(decision: Decision): string {
  return [headline(decision), expectation(decision)].filter((part) => part !== '').join(' ');
}

function headline(decision: Decision): string {
  const { action, outcome, vmName, hostName } = decision;
  const to = hostName === undefined ? 'away' : `to ${hostName}`;
  switch (action) {
    case 'stay':
      return `${vmName} stays where it is: ${reasonOf(decision)}`;
    case 'offload':
      if (outcome === 'acted') return `${vmName} moves ${to}: ${reasonOf(decision)}`;
      if (outcome === 'suggested') return `Suggestion: move ${vmName} ${to}. ${reasonOf(decision)}`;
      return `${vmName} would move ${to}: ${reasonOf(decision)}`;
    case 'home':
      if (outcome === 'acted') return `${vmName} comes home: ${reasonOf(decision)}`;
      if (outcome === 'suggested') return `Suggestion: bring ${vmName} home. ${reasonOf(decision)}`;
      return `${vmName} would come home: ${reasonOf(decision)}`;
  }
}

/** A reason stands alone in the journal and names the VM; here its name has just been said. */
function reasonOf({ reason, vmName }: Decision): string {
  return sentence(reason.startsWith(`${vmName} `) ? `it${reason.slice(vmName.length)}` : reason);
}

/** "Expected gain about 8 min, cost about 40 s.", as far as it is known; empty where it is not. */
export function expectation({ expectedGainS, expectedCostS }: Decision): string {
  const gain = expectedGainS === undefined ? undefined : `gain about ${formatDuration(expectedGainS * 1_000)}`;
  const cost = expectedCostS === undefined ? undefined : `cost about ${formatDuration(expectedCostS * 1_000)}`;
  const parts = [gain, cost].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : `Expected ${parts.join(', ')}.`;
}

/** The figures behind a decision, in the order in which one leads to the next; empty where the policy gives none. */
export function calculationFigures({ calculation, hostName }: Decision): Figure[] {
  if (calculation === undefined) return [];
  const {
    kind,
    program,
    inputRead,
    ageS,
    restS,
    runsKnown,
    pace,
    moveS,
    moveAtMostS,
    moveBytes,
    wayBackS,
    gainS,
    neededS,
    lossChance,
  } = calculation;
  const figure = (label: string, value: number | undefined, words: (value: number) => string): Figure[] =>
    value === undefined ? [] : [{ label, value: words(value) }];
  const atMost = moveAtMostS === undefined ? '' : `, at most ${span(moveAtMostS)}`;
  const bytes = moveBytes === undefined ? '' : `, ${formatBytes(moveBytes)}`;
  const earlier = runsKnown < 1 ? 'no earlier run is known' : `from ${count(Math.round(runsKnown), 'earlier run')}`;
  const known = inputRead === undefined ? earlier : `${Math.round(100 * inputRead)} % of its input is read`;
  return [
    { label: 'What it does', value: program === undefined ? kind : `${kind} (${program})` },
    ...(ageS > 0
      ? [
          { label: 'Work so far', value: span(ageS) },
          { label: 'Expected to go on for', value: `${span(restS)} (${known})` },
        ]
      : []),
    ...figure(
      hostName === undefined ? 'Speed away' : `Speed at ${hostName}`,
      pace,
      (times) => `${times.toFixed(2)} × home`,
    ),
    ...figure('Move', moveS, (s) => `${span(s)}${atMost}${bytes}`),
    ...figure('Way back', wayBackS, span),
    ...figure('Expected gain', gainS, (s) => `${s < 0 ? '−' : ''}${span(Math.abs(s))}`),
    ...figure('Gain required', neededS, span),
    ...figure('Chance of a loss', lossChance, (share) => `${Math.round(share * 100)} %`),
  ];
}

function span(s: number): string {
  return formatDuration(s * 1_000);
}

/** "Move work to tower?", "Bring work home?" */
export function suggestionQuestion({ action, vmName, hostName }: Decision): string {
  if (action === 'home') return `Bring ${vmName} home?`;
  return `Move ${vmName} ${hostName === undefined ? 'away' : `to ${hostName}`}?`;
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
