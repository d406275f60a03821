import type { Vm } from '../model/vm.ts';
import type { Decision, Status } from '../rpc.ts';
import { awayNotes } from './away.ts';
import { calculationFigures, decisionSentence } from './decision.ts';
import { guardWords } from './guard.ts';
import type { Figure } from './timeline.ts';

/** What the policy thinks of a VM. */
export interface Opinion {
  readonly sentence: string;
  /** What the sentence was reckoned from; empty where nothing was. */
  readonly figures: readonly Figure[];
  /** Present where it waits for a person's answer. */
  readonly suggestion: Decision | undefined;
}

export function opinionOf(vm: Vm, { suggestions, decisions }: Pick<Status, 'suggestions' | 'decisions'>): Opinion {
  const suggestion = suggestions.find((candidate) => candidate.vm === vm.uuid);
  const word = suggestion ?? decisions.find((candidate) => candidate.vm === vm.uuid);
  if (word !== undefined) return { sentence: decisionSentence(word), figures: calculationFigures(word), suggestion };
  return { sentence: silence(vm), figures: [], suggestion: undefined };
}

function silence(vm: Vm): string {
  if (vm.level === 'off') return 'Moves only when you ask, or home before this computer sleeps.';
  return vm.state === 'running' ? 'Nothing to say yet; still measuring.' : 'Nothing to say while it does not run.';
}

/** What a person should know at once, most urgent first; empty when all is well. */
export function attention(status: Pick<Status, 'guard' | 'hosts' | 'moves' | 'vms'>, nowMs: number): string[] {
  const { vms, hosts, moves } = status;
  // What becomes of one on its way is told there.
  const resting = vms.filter(({ uuid }) => !moves.some(({ vm }) => vm === uuid));
  const crashed = vms
    .filter(({ state, place }) => state === 'crashed' && !(place.kind === 'home' && place.ended !== undefined))
    .map((vm) => `${vm.name} has crashed.`);
  const guard = status.guard.state === 'refused' ? guardWords(status) : undefined;
  return [...crashed, ...resting.flatMap((vm) => awayNotes(vm, hosts, nowMs)), ...(guard === undefined ? [] : [guard])];
}

/** The short way from nothing to a VM that works away. */
export interface FirstStep {
  readonly key: 'find' | 'pair' | 'ready' | 'offload';
  readonly title: string;
  readonly detail: string;
  readonly done: boolean;
}

/** Empty once there is a paired host and a VM made ready: then each VM's own action says what to do. */
export function firstSteps({ hosts, vms }: Pick<Status, 'hosts' | 'vms'>): FirstStep[] {
  const paired = hosts.some((host) => host.paired);
  const ready = vms.some((vm) => vm.adopted);
  if (paired && ready) return [];
  return [
    {
      key: 'find',
      title: 'Find a host',
      detail: 'On a workstation of yours, turn on “This computer as a host”, or run “homeward host”.',
      done: hosts.length > 0,
    },
    {
      key: 'pair',
      title: 'Pair the two computers',
      detail: 'Both show a six-digit code. If it is the same, say yes on both.',
      done: paired,
    },
    {
      key: 'ready',
      title: 'Make a VM ready',
      detail: 'You see every change to its definition first, and can undo it.',
      done: ready,
    },
    {
      key: 'offload',
      title: 'Offload it',
      detail: 'It keeps running all the while, with its disk, address and connections.',
      done: vms.some((vm) => vm.place.kind === 'away'),
    },
  ];
}
