/** What the tray icon shows and its whole menu, as data: the same for every shell that draws it. */
import type { Host } from '../model/host.ts';
import type { Move } from '../model/move.ts';
import type { Vm } from '../model/vm.ts';
import type { Decision, Status } from '../rpc.ts';
import type { EngineState } from '../window.ts';
import { awayNotes, canRestartHere, isOutOfReach } from './away.ts';
import { suggestionQuestion } from './decision.ts';
import { guardWords } from './guard.ts';
import { hostView } from './host.ts';
import { isStalled, phaseWords, progressView, routeWords } from './move.ts';
import type { ShellAction, WindowView } from './shell-action.ts';
import { count, sentence } from './units.ts';
import { placeWords, stateWords } from './vm.ts';

/** `moving` with how much has arrived, where that is known. */
export type TrayIcon =
  | { readonly state: 'home' | 'suggestion' | 'away' | 'attention' | 'engine-off' }
  | { readonly state: 'moving'; readonly percent: number | undefined };

/** `id` names the same entry from one menu to the next. */
export type MenuEntry =
  | { readonly kind: 'separator'; readonly id: string }
  /** Only to be read. */
  | { readonly kind: 'words'; readonly id: string; readonly label: string }
  | { readonly kind: 'action'; readonly id: string; readonly label: string; readonly action: ShellAction }
  | {
      readonly kind: 'check';
      readonly id: string;
      readonly label: string;
      readonly checked: boolean;
      readonly action: ShellAction;
    }
  | { readonly kind: 'submenu'; readonly id: string; readonly label: string; readonly entries: readonly MenuEntry[] };

export interface TrayModel {
  readonly icon: TrayIcon;
  /** A line per VM, after one that says what matters most. */
  readonly tooltip: string;
  readonly menu: readonly MenuEntry[];
}

/** @param status The engine's last word; may be old where the engine is gone, and is then not shown. */
export function trayModel(engine: EngineState, status: Status | undefined): TrayModel {
  if (engine !== 'up' || status === undefined) return withoutEngine(engine);
  const attention = troubles(status);
  const lines = status.vms.filter(isWorthALine).map((vm) => vmWords(vm, status.moves));
  const guard = guardWords(status);
  const tooltip = [
    attention[0] ?? summary(status),
    ...attention.slice(1),
    ...(lines.length === 0 ? ['No VM is running.'] : lines),
    ...(guard === undefined ? [] : [guard]),
  ];
  return {
    icon: icon(status, attention.length > 0),
    tooltip: tooltip.join('\n'),
    menu: separated([
      attention.map((label, at) => ({ kind: 'words', id: `attention-${at}`, label })),
      ...status.suggestions.map(suggestionEntries),
      vmEntries(status),
      guard === undefined ? [] : [{ kind: 'words', id: 'guard', label: guard }],
      visitorEntries(status),
      openEntries,
      [quitEntry(status)],
    ]),
  };
}

function withoutEngine(engine: EngineState): TrayModel {
  const words = engine === 'connecting' ? 'Looking for the engine …' : 'The engine is not running.';
  return {
    icon: { state: 'engine-off' },
    tooltip: `${words} VMs stay where they are.`,
    menu: separated([
      [
        { kind: 'words', id: 'engine', label: words },
        { kind: 'action', id: 'engine-start', label: 'Start the engine', action: { do: 'startEngine' } },
      ],
      openEntries,
      [{ kind: 'action', id: 'quit', label: 'Quit', action: { do: 'quit' } }],
    ]),
  };
}

function icon(status: Status, needsAttention: boolean): TrayIcon {
  if (needsAttention) return { state: 'attention' };
  const [move] = status.moves;
  if (move !== undefined) return { state: 'moving', percent: progressView(move.progress).share };
  if (status.suggestions.length > 0) return { state: 'suggestion' };
  return { state: status.vms.some(isAway) ? 'away' : 'home' };
}

function summary({ moves, vms, suggestions }: Status): string {
  if (moves.length > 0) return `${count(moves.length, 'VM')} moving`;
  const [suggestion] = suggestions;
  if (suggestion !== undefined) return suggestionQuestion(suggestion);
  const away = vms.filter(isAway).length;
  return away === 0 ? 'All VMs are at home.' : `${count(away, 'VM')} away`;
}

/** What somebody should know of at once, each as a sentence. */
function troubles({ vms, hosts, moves }: Status): string[] {
  const lostHosts = hosts
    .filter((host) => host.fingerprint !== undefined && !host.reachable)
    .flatMap((host) => {
      const there = vms.filter(({ place }) => place.kind === 'away' && place.host === host.fingerprint);
      return there.map((vm) => `${host.name} is out of reach; ${vm.name} is there.`);
    });
  const stalled = moves.filter(isStalled).map((move) => `${routeWords(move)}: ${phaseWords(move)}.`);
  const crashed = vms.filter((vm) => vm.state === 'crashed').map((vm) => `${vm.name} has crashed.`);
  const inReach = vms.filter((vm) => !isOutOfReach(vm, hosts));
  return [...stalled, ...lostHosts, ...crashed, ...inReach.flatMap((vm) => awayNotes(vm, hosts))];
}

function suggestionEntries(suggestion: Decision): MenuEntry[] {
  const { vm, vmName, action, host } = suggestion;
  const id = `suggestion-${vm}`;
  const accept: MenuEntry =
    action === 'home'
      ? { kind: 'action', id: `${id}-accept`, label: 'Bring home', action: { do: 'home', vm } }
      : {
          kind: 'action',
          id: `${id}-accept`,
          label: 'Offload',
          action: { do: 'offload', vm, ...(host === undefined ? {} : { host }) },
        };
  return [
    { kind: 'words', id, label: `${suggestionQuestion(suggestion)} ${sentence(suggestion.reason)}` },
    accept,
    { kind: 'action', id: `${id}-dismiss`, label: 'Not now', action: { do: 'dismiss', vm } },
    {
      kind: 'action',
      id: `${id}-never`,
      label: `Never for ${vmName}`,
      action: { do: 'setLevel', vm, level: 'off' },
    },
  ];
}

/** One VM's entries stand in the menu itself, those of several in a submenu each. */
function vmEntries(status: Status): MenuEntry[] {
  const { vms, moves } = status;
  if (vms.length === 0) return [{ kind: 'words', id: 'no-vms', label: 'No VM on this computer' }];
  const [only] = vms;
  if (only !== undefined && vms.length === 1) {
    return [{ kind: 'words', id: `vm-${only.uuid}`, label: vmWords(only, moves) }, ...entriesOf(only, status)];
  }
  return vms.map((vm) => ({
    kind: 'submenu',
    id: `vm-${vm.uuid}`,
    label: vmWords(vm, moves),
    entries: entriesOf(vm, status),
  }));
}

function entriesOf(vm: Vm, { hosts, moves }: Status): MenuEntry[] {
  const id = `vm-${vm.uuid}`;
  const move = moves.find((candidate) => candidate.vm === vm.uuid);
  if (!vm.adopted && !isAway(vm)) {
    return [
      {
        kind: 'action',
        id: `${id}-adopt`,
        label: 'Make ready to move …',
        action: { do: 'open', view: `ready/${vm.uuid}` },
      },
    ];
  }
  return [
    move === undefined ? moveEntry(vm, hosts, id) : cancelEntry(move, id),
    ...(move === undefined ? restartEntries(vm, hosts, id) : []),
    automaticEntry(vm, id),
  ];
}

/** What is lost by it has to be read first, which a menu is no place for. */
function restartEntries(vm: Vm, hosts: readonly Host[], id: string): MenuEntry[] {
  if (!isAway(vm) || !canRestartHere(vm, hosts)) return [];
  return [
    {
      kind: 'action',
      id: `${id}-restart`,
      label: 'Restart here from its disk …',
      action: { do: 'open', view: 'overview' },
    },
  ];
}

function automaticEntry(vm: Vm, id: string): MenuEntry {
  const automatic = vm.level === 'automatic';
  return {
    kind: 'check',
    id: `${id}-automatic`,
    label: 'Automatic',
    checked: automatic,
    action: { do: 'setLevel', vm: vm.uuid, level: automatic ? 'suggest' : 'automatic' },
  };
}

function cancelEntry(move: Move, id: string): MenuEntry {
  return move.cancellable
    ? { kind: 'action', id: `${id}-cancel`, label: 'Cancel the move', action: { do: 'cancel', vm: move.vm } }
    : { kind: 'words', id: `${id}-cancel`, label: 'Cancel the move (too late, it finishes)' };
}

function moveEntry(vm: Vm, hosts: readonly Host[], id: string): MenuEntry {
  if (isAway(vm)) return homeEntry(vm, hosts, `${id}-home`);
  if (canRestartHere(vm, hosts)) {
    return { kind: 'action', id: `${id}-start`, label: 'Start here', action: { do: 'startHere', vm: vm.uuid } };
  }
  const offload = `${id}-offload`;
  if (vm.state !== 'running') {
    return { kind: 'words', id: offload, label: `Offload now (the VM is ${stateWords(vm.state)})` };
  }
  if (hosts.length === 0) return { kind: 'words', id: offload, label: 'Offload now (no workstation found)' };
  return {
    kind: 'submenu',
    id: offload,
    label: 'Offload now',
    entries: hosts.map((host, at) => hostEntry(vm, host, `${offload}-${host.fingerprint ?? at}`)),
  };
}

function homeEntry(vm: Vm, hosts: readonly Host[], id: string): MenuEntry {
  const entry = (label: string, what: 'home' | 'wantHome' | 'unwantHome'): MenuEntry => ({
    kind: 'action',
    id,
    label,
    action: { do: what, vm: vm.uuid },
  });
  if (vm.homeWanted !== undefined) return entry('Let it stay there', 'unwantHome');
  return isOutOfReach(vm, hosts) ? entry('Bring home when it can be reached', 'wantHome') : entry('Bring home', 'home');
}

function hostEntry(vm: Vm, host: Host, id: string): MenuEntry {
  if (host.fingerprint === undefined) return { kind: 'words', id, label: `${host.name} (has not answered yet)` };
  if (!host.paired || !host.reachable || host.obstacle !== undefined) {
    return { kind: 'words', id, label: `${host.name} (${hostView(host).state})` };
  }
  return { kind: 'action', id, label: host.name, action: { do: 'offload', vm: vm.uuid, host: host.fingerprint } };
}

function visitorEntries({ host }: Status): MenuEntry[] {
  if (host.visitors.length === 0) return [];
  return [
    {
      kind: 'submenu',
      id: 'visitors',
      label: `${count(host.visitors.length, 'VM')} visiting this computer`,
      entries: host.visitors.map(({ visit, vmName }) => ({
        kind: 'action',
        id: `visitor-${visit}`,
        label: `Send ${vmName} home`,
        action: { do: 'sendHome', visit },
      })),
    },
  ];
}

const openEntries: readonly MenuEntry[] = [openEntry('Open Homeward', 'overview'), openEntry('Settings', 'settings')];

function openEntry(label: string, view: WindowView): MenuEntry {
  return { kind: 'action', id: `open-${view}`, label, action: { do: 'open', view } };
}

/** Quitting ends what is seen of Homeward, never the engine. */
function quitEntry({ vms, moves }: Status): MenuEntry {
  const means = moves.length > 0 ? ' (the move goes on)' : vms.some(isAway) ? ' (VMs stay where they are)' : '';
  return { kind: 'action', id: 'quit', label: `Quit${means}`, action: { do: 'quit' } };
}

/** Without figures that change every second, which would make a menu flicker. */
function vmWords(vm: Vm, moves: readonly Move[]): string {
  const move = moves.find((candidate) => candidate.vm === vm.uuid);
  if (move === undefined) return `${vm.name}: ${stateWords(vm.state)} ${placeWords(vm.place)}`;
  const { percent } = isStalled(move) ? { percent: undefined } : progressView(move.progress);
  return `${routeWords(move)}: ${[phaseWords(move), percent].filter((part) => part !== undefined).join(', ')}`;
}

function isAway({ place }: Vm): boolean {
  return place.kind === 'away';
}

function isWorthALine(vm: Vm): boolean {
  return vm.state !== 'shutoff' || isAway(vm);
}

function separated(sections: readonly (readonly MenuEntry[])[]): MenuEntry[] {
  return sections
    .filter((section) => section.length > 0)
    .flatMap((section, at): MenuEntry[] =>
      at === 0 ? [...section] : [{ kind: 'separator', id: `separator-${at}` }, ...section],
    );
}
