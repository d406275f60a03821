/** Which desktop notifications a shell shows, in the words of the rest of shared/view. */
import type { Move } from '../model/move.ts';
import type { Vm } from '../model/vm.ts';
import type { Decision, Notify, Pairing, Status } from '../rpc.ts';
import { visitEndSentences } from './away.ts';
import { expectation, pairingView, suggestionQuestion } from './decision.ts';
import { moveSummary, moveTitle, wasCancelled } from './move.ts';
import type { ShellAction } from './shell-action.ts';
import { sentence } from './units.ts';

interface NotificationButton {
  /** Unique within its notification. */
  readonly key: string;
  readonly label: string;
  readonly action: ShellAction;
}

export interface ShellNotification {
  /** A later one with the same id takes its place. */
  readonly id: string;
  readonly title: string;
  readonly body: string;
  /** Stays until it is looked at. */
  readonly urgent: boolean;
  readonly buttons: readonly NotificationButton[];
  /** A click on the notification itself. */
  readonly onClick: ShellAction;
}

/** What to show for a decision, or nothing. */
export function decisionNotification(decision: Decision, notify: Notify): ShellNotification | undefined {
  if (decision.action === 'stay') return undefined;
  if (decision.outcome === 'suggested') return notify.suggestions ? suggested(decision) : undefined;
  return decision.outcome === 'acted' && notify.moves ? acted(decision) : undefined;
}

/** What to show for a move, or nothing: while it goes on, its icon says enough. */
export function moveNotification(move: Move, notify: Notify): ShellNotification | undefined {
  if (move.endedAt === undefined || wasCancelled(move)) return undefined;
  const well = move.phase === 'done';
  if (!(well ? notify.moves : notify.trouble)) return undefined;
  return {
    id: `move-${move.vm}`,
    title: moveTitle(move),
    body: moveSummary(move),
    urgent: !well,
    buttons:
      well && move.direction === 'out'
        ? [{ key: 'home', label: 'Bring home', action: { do: 'home', vm: move.vm } }]
        : [],
    onClick: openOverview,
  };
}

/** Only where another computer asks: who pairs from here is looking at it already. */
export function pairingNotification(pairing: Pairing, notify: Notify): ShellNotification | undefined {
  if (pairing.role !== 'host' || !notify.pairing) return undefined;
  const { title, code } = pairingView(pairing);
  const open: ShellAction = { do: 'open', view: 'hosts' };
  return {
    id: `pairing-${pairing.id}`,
    title: `${pairing.peerName} wants to pair`,
    body: `${title} Code: ${code}. Compare it on both screens.`,
    urgent: true,
    buttons: [{ key: 'open', label: 'Compare the code', action: open }],
    onClick: open,
  };
}

interface NotificationChange {
  readonly show: readonly ShellNotification[];
  /** Ids of those that are no longer true. */
  readonly withdraw: readonly string[];
}

/** What two states of things, one after the other, have to tell. */
export function notificationsBetween(before: Status, after: Status): NotificationChange {
  const goneSuggestions = before.suggestions.filter(({ vm }) => !after.suggestions.some((other) => other.vm === vm));
  const wasOut = outOfReach(before);
  const isOut = outOfReach(after);
  const lost = isOut.filter(({ vm }) => !wasOut.some((other) => other.vm.uuid === vm.uuid));
  const found = wasOut.filter(({ vm }) => !isOut.some((other) => other.vm.uuid === vm.uuid));
  return {
    show: after.preferences.notify.trouble ? [...lost.map(hostLost), ...endedSince(before, after).map(endedAway)] : [],
    withdraw: [
      ...goneSuggestions.map(({ vm }) => `suggestion-${vm}`),
      ...found.map(({ vm }) => `host-lost-${vm.uuid}`),
    ],
  };
}

/** A click that came to nothing; shown whatever the preferences say, since somebody waits for it. */
export function refusalNotification(message: string, hint: string | undefined): ShellNotification {
  return {
    id: 'refusal',
    title: 'That did not work',
    body: [sentence(message), hint === undefined ? '' : sentence(hint)].filter((part) => part !== '').join(' '),
    urgent: false,
    buttons: [],
    onClick: openOverview,
  };
}

const openOverview: ShellAction = { do: 'open', view: 'overview' };

function suggested(decision: Decision): ShellNotification {
  const { vm, vmName, action, host, reason } = decision;
  const accept: NotificationButton =
    action === 'home'
      ? { key: 'accept', label: 'Bring home', action: { do: 'home', vm } }
      : {
          key: 'accept',
          label: 'Offload',
          action: { do: 'offload', vm, ...(host === undefined ? {} : { host }) },
        };
  return {
    id: `suggestion-${vm}`,
    title: suggestionQuestion(decision),
    body: [sentence(reason), expectation(decision)].filter((part) => part !== '').join(' '),
    urgent: false,
    buttons: [
      accept,
      { key: 'dismiss', label: 'Not now', action: { do: 'dismiss', vm } },
      { key: 'never', label: `Never for ${vmName}`, action: { do: 'setLevel', vm, level: 'off' } },
    ],
    onClick: openOverview,
  };
}

function acted({ vm, vmName, action, hostName, reason }: Decision): ShellNotification {
  const to = hostName === undefined ? 'away' : `to ${hostName}`;
  return {
    id: `move-${vm}`,
    title: action === 'home' ? `${vmName} comes home` : `${vmName} moves ${to}`,
    body: sentence(reason),
    urgent: false,
    buttons: [{ key: 'cancel', label: 'Cancel', action: { do: 'cancel', vm } }],
    onClick: openOverview,
  };
}

interface OutOfReach {
  readonly vm: Vm;
  readonly hostName: string;
}

function outOfReach({ vms, hosts }: Status): OutOfReach[] {
  return vms.flatMap((vm) => {
    const { place } = vm;
    if (place.kind !== 'away') return [];
    const host = hosts.find(({ fingerprint }) => fingerprint === place.host);
    return host?.reachable === true ? [] : [{ vm, hostName: place.hostName }];
  });
}

interface EndedVm {
  readonly vm: Vm;
  readonly ended: NonNullable<Extract<Vm['place'], { kind: 'home' }>['ended']>;
}

/** Not those that somebody here gave up: who did that knows. */
function endedSince(before: Status, after: Status): EndedVm[] {
  return after.vms.flatMap((vm) => {
    const was = before.vms.find(({ uuid }) => uuid === vm.uuid)?.place.kind;
    if (was !== 'away' || vm.place.kind !== 'home' || vm.place.ended === undefined) return [];
    return vm.place.ended.why === 'fenced' ? [] : [{ vm, ended: vm.place.ended }];
  });
}

function endedAway({ vm, ended }: EndedVm): ShellNotification {
  return {
    id: `ended-${vm.uuid}`,
    title: `${vm.name} ended at ${ended.hostName}`,
    body: visitEndSentences(vm.name, ended.hostName, ended),
    urgent: true,
    buttons: [{ key: 'start', label: 'Start here', action: { do: 'startHere', vm: vm.uuid } }],
    onClick: openOverview,
  };
}

function hostLost({ vm, hostName }: OutOfReach): ShellNotification {
  return {
    id: `host-lost-${vm.uuid}`,
    title: `${hostName} is out of reach`,
    body: `${vm.name} is there. Its disk and network wait, and it goes on when ${hostName} answers again.`,
    urgent: true,
    buttons: [],
    onClick: openOverview,
  };
}
