/** What somebody should know of a VM that is away, or was: the same sentences for window, tray, command line and doctor. */
import type { Host } from '../model/host.ts';
import type { Move } from '../model/move.ts';
import type { VisitEnd } from '../model/visit-end.ts';
import type { AwayTrouble, Place, Vm } from '../model/vm.ts';
import { formatDuration, formatSince, sentence } from './units.ts';

type Away = Extract<Place, { kind: 'away' }>;

const memoryLost = 'what it had in memory is lost, and its disk is as after a power cut at the last write';

/** How a visit ended, with what that means for the VM. */
export function visitEndSentences(vmName: string, hostName: string, { why }: Pick<VisitEnd, 'why'>): string {
  const disk = 'Its disk is here, where it can be started';
  return why === 'shutdown'
    ? `${endWords(vmName, hostName, why)} ${disk}; nothing is lost.`
    : `${endWords(vmName, hostName, why)} ${disk}: ${memoryLost}.`;
}

function endWords(vm: string, host: string, why: VisitEnd['why']): string {
  switch (why) {
    case 'shutdown':
      return `${vm} was shut down while it was at ${host}.`;
    case 'destroyed':
      return `${vm} was ended by force at ${host}.`;
    case 'crashed':
      return `${vm} crashed at ${host}.`;
    case 'host-restarted':
      return `${host} was restarted while ${vm} was there.`;
    case 'died':
      return `${vm} ended at ${host} without a word: it was killed there, or ${host} was restarted.`;
    case 'lease':
      return `${host} ended ${vm}: it had not heard from this computer for as long as its owner keeps a visitor.`;
    case 'limits':
      return `${host} ended ${vm}: it took more than it was let in with.`;
    case 'revoked':
      return `${host} ended ${vm}: the pairing was revoked there.`;
    case 'fenced':
      return `${vm} was given up at ${host}, and its disk taken back.`;
    case 'forgotten':
      return `${host} knows nothing of ${vm} any more.`;
    case 'lost-moving':
      return `${vm} was lost on its way between ${host} and this computer.`;
    case 'unknown':
      return `${vm} ended at ${host}, and why is not known.`;
    default:
      return why satisfies never;
  }
}

/** For the owner of the host: why a visitor is not here any more. */
export function visitorEndWords(vmName: string, { why }: Pick<VisitEnd, 'why'>): string {
  switch (why) {
    case 'shutdown':
      return `${vmName} was shut down.`;
    case 'destroyed':
      return `${vmName} was ended by force.`;
    case 'crashed':
      return `${vmName} crashed.`;
    case 'host-restarted':
      return `${vmName} ended when this computer was restarted.`;
    case 'died':
      return `${vmName} ended while Homeward was not looking: it was killed, or memory was short.`;
    case 'lease':
      return `${vmName} was ended: its computer had not been heard from for as long as a visitor is kept here.`;
    case 'limits':
      return `${vmName} was ended: it took more than it was let in with.`;
    case 'revoked':
      return `${vmName} was ended: its computer is not paired any more.`;
    case 'fenced':
      return `${vmName} was ended: its own computer had taken the disk back while this one could not be reached, and went on without it.`;
    case 'forgotten':
    case 'lost-moving':
    case 'unknown':
      return `${vmName} ended.`;
    default:
      return why satisfies never;
  }
}

/** What exactly is lost by `restart here`, before anybody says yes. */
export function restartWarnings(vm: Vm, move: Move | undefined, nowMs: number): string[] {
  const { name, place } = vm;
  if (move !== undefined) {
    const { direction, hostName } = move;
    return [
      `${name} is on its way ${direction === 'out' ? 'to' : 'home from'} ${hostName}, which cannot be reached. The move is given up, and everything ${name} has in memory is lost: open programs, and what was not saved.`,
      ...afterwards(hostName),
      `If ${hostName} can be reached again, better wait: the move goes on by itself, and nothing is lost.`,
    ];
  }
  if (place.kind === 'home') return [`${name} is started from its disk here.`];
  return [
    `${name} has been at ${place.hostName} for ${formatSince(place.since, nowMs)}. Everything it has in memory since then is lost: open programs, and what was not saved.`,
    ...afterwards(place.hostName),
    `If ${place.hostName} can be reached again, better bring ${name} home: then nothing is lost.`,
  ];
}

function afterwards(hostName: string): string[] {
  return [
    'Its disk is here, as after a power cut at the last write that arrived.',
    `What still runs at ${hostName} is cut off from disk and network for good, and ended as soon as ${hostName} is met again.`,
  ];
}

/** The host a VM is at cannot be reached now. */
export function isOutOfReach({ place }: Pick<Vm, 'place'>, hosts: readonly Host[]): boolean {
  return place.kind === 'away' && hostOf(place, hosts)?.reachable !== true;
}

/** Whether to offer the start from the home disk: the visitor is out of reach, or gone. */
export function canRestartHere(vm: Vm, hosts: readonly Host[], move?: Move): boolean {
  if (move !== undefined) return move.linkDown === true && !move.cancellable;
  if (vm.place.kind === 'home') return vm.place.ended !== undefined && isOff(vm);
  if (vm.place.restarting !== undefined) return false;
  return isOutOfReach(vm, hosts) || (vm.awayTroubles ?? []).includes('forgotten');
}

/**
 * In sentences, most urgent first; empty when all is well.
 * @param nowMs Left out where sentences must not change by themselves, as in a menu.
 */
export function awayNotes(vm: Vm, hosts: readonly Host[], nowMs?: number): string[] {
  const { name, place } = vm;
  if (place.kind === 'home') {
    if (place.starting === true) return [`${name} is being started here from its disk.`];
    return place.ended !== undefined && isOff(vm) ? [visitEndSentences(name, place.ended.hostName, place.ended)] : [];
  }
  if (place.restarting !== undefined) {
    return [`${name} is being cut off from ${place.hostName}, and goes on here from its disk.`];
  }
  return [
    ...(vm.awayTroubles ?? []).map((trouble) => troubleWords(vm, place, trouble)),
    ...(isOutOfReach(vm, hosts) ? [outOfReachWords(vm, place, hostOf(place, hosts), nowMs)] : []),
    ...(vm.homeWanted === undefined
      ? []
      : [`${name} comes home by itself as soon as it can: ${sentence(vm.homeWanted.reason)}`]),
  ];
}

function outOfReachWords({ name }: Vm, { hostName }: Away, host: Host | undefined, nowMs: number | undefined): string {
  const since = host?.unreachableSince;
  const forHowLong = since === undefined || nowMs === undefined ? '' : ` for ${formatSince(since, nowMs)}`;
  return `${name} is at ${hostName}, which cannot be reached${forHowLong}. It goes on there in memory; what needs its disk or network waits until the link is back, and nothing is lost by waiting.${leaseWords(host, hostName, nowMs)}`;
}

function leaseWords(host: Host | undefined, hostName: string, nowMs: number | undefined): string {
  if (host?.unreachableSince === undefined || host.facts?.leaseHours === undefined || nowMs === undefined) return '';
  const leftMs = Date.parse(host.unreachableSince) + host.facts.leaseHours * 3_600_000 - nowMs;
  return leftMs > 0
    ? ` ${hostName} keeps it for another ${formatDuration(leftMs)} at least.`
    : ` ${hostName} may have ended it meanwhile: it keeps a silent computer's VM for ${formatDuration(host.facts.leaseHours * 3_600_000)}.`;
}

function troubleWords({ name, connection }: Vm, { hostName }: Away, trouble: AwayTrouble): string {
  switch (trouble) {
    case 'forgotten':
      return `${hostName} answers and knows nothing of ${name}. It can be started here from its disk; ${memoryLost}.`;
    case 'undefined-here':
      return `libvirt here does not know ${name} any more. Its definition is put back when it comes home.`;
    case 'renamed':
      return `${name} was renamed here while it was away, and can only come home under the name it left with. Rename it back: virsh -c qemu:///${connection} domrename`;
    case 'runs-here':
      return `${name} was started here as well, while it is at ${hostName}. Shut down the one here; its disk is not the one that ${name} works on.`;
    default:
      return trouble satisfies never;
  }
}

function hostOf(place: Away, hosts: readonly Host[]): Host | undefined {
  return hosts.find(({ fingerprint }) => fingerprint === place.host);
}

function isOff({ state }: Vm): boolean {
  return state === 'shutoff' || state === 'crashed';
}
