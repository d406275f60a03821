/**
 * The contract between the engine and its shells (CLI, window, tray): JSON-RPC 2.0 lines over a UNIX
 * socket of mode 0600. Every call and event is schema-checked on arrival.
 */
import { z } from 'zod';
import { Benchmark, Host, HostAddress, HostFacts } from './model/host.ts';
import { Bytes, DisplayName, Fingerprint, Port, Token, VmUuid } from './model/identifiers.ts';
import { LeavingTimes } from './model/leaving.ts';
import { Direction, Move, Planned } from './model/move.ts';
import { DepartureChange, DepartureSettings } from './model/signal.ts';
import { Level, Vm } from './model/vm.ts';
import { Calculation } from './policy/types.ts';
import { VisitInfo } from './wire.ts';

/** A VM by UUID or by name; a name must be unique across session and system. */
const VmKey = z.string().min(1).max(200);
/** A host by fingerprint (or a unique start of one) or by name. */
const HostKey = z.string().min(1).max(200);

export const Peer = z.object({
  fingerprint: Fingerprint,
  name: DisplayName,
  pairedAt: z.iso.datetime(),
  /** What this machine lets the peer do or expects of it. */
  role: z.enum(['host', 'laptop']),
});
export type Peer = z.infer<typeof Peer>;

/** Pairing as this machine sees it: compare the code on both screens, then answer. */
export const Pairing = z.object({
  id: Token,
  role: z.enum(['host', 'laptop']),
  peerName: DisplayName,
  fingerprint: Fingerprint,
  code: z.string().regex(/^\d{6}$/),
});
export type Pairing = z.infer<typeof Pairing>;

export const Decision = z.object({
  at: z.iso.datetime(),
  vm: VmUuid,
  vmName: z.string(),
  policy: z.string(),
  action: z.enum(['stay', 'offload', 'home']),
  host: Fingerprint.optional(),
  hostName: z.string().optional(),
  reason: z.string(),
  /** Whether it was acted on, only suggested, or held back. */
  outcome: z.enum(['acted', 'suggested', 'noted']),
  expectedGainS: z.number().optional(),
  expectedCostS: z.number().optional(),
  /** What it rests on, where the policy can say. */
  calculation: Calculation.optional(),
});
export type Decision = z.infer<typeof Decision>;

export const Finding = z.object({
  id: z.string(),
  severity: z.enum(['ok', 'note', 'problem']),
  title: z.string(),
  detail: z.string(),
  remedy: z.string().optional(),
  /** A command to copy. */
  command: z.string().optional(),
});
export type Finding = z.infer<typeof Finding>;

export const HostSettings = z.object({
  enabled: z.boolean(),
  /** 0 lets the system choose. */
  port: z.int().min(0).max(65_535),
  maxVisitors: z.int().min(0).max(64),
  /** Most memory visitors may take together. */
  maxMemoryBytes: Bytes,
  maxVcpus: z.int().min(1),
  /** How long a visitor is kept whose laptop is not heard from. */
  leaseHours: z.int().min(1).max(8_760),
});
export type HostSettings = z.infer<typeof HostSettings>;

/** Which desktop notifications a shell shows. */
export const Notify = z.object({
  suggestions: z.boolean(),
  /** A move has begun by itself, or ended. */
  moves: z.boolean(),
  /** Something needs attention: a host out of reach, a move that failed, a VM lost. */
  trouble: z.boolean(),
  pairing: z.boolean(),
});
export type Notify = z.infer<typeof Notify>;

/** What a person chose for the engine and all its shells. */
export const Preferences = z.object({
  /** This machine's name for others. */
  name: DisplayName,
  /** Rest between two automatic moves of one VM, in seconds. */
  cooldownS: z.number().min(0).max(86_400),
  /** Take memory that a VM does not use while it is away, so that it comes home sooner; it has all of it back at need. */
  balloon: z.boolean(),
  notify: Notify,
  /** When VMs come home by themselves. */
  departure: DepartureSettings,
  /** Work is sent away the more reluctantly the nearer one of them is, and is home by then. */
  leaving: LeavingTimes,
  /** Closing the window leaves the tray icon; otherwise it ends the shell, never the engine. */
  closeToTray: z.boolean(),
});
export type Preferences = z.infer<typeof Preferences>;

/** Whether closing the lid waits for VMs to come home. */
const GuardStatus = z.discriminatedUnion('state', [
  z.object({ state: z.literal('off') }),
  /** By whom the lid is handled as well, so that it may not wait. */
  z.object({ state: z.literal('held'), takenBy: z.string().optional() }),
  /** The system does not let us, and why. */
  z.object({ state: z.literal('refused'), sentence: z.string(), hint: z.string() }),
]);

export const Status = z.object({
  version: z.string(),
  pid: z.int(),
  name: DisplayName,
  fingerprint: Fingerprint,
  startedAt: z.iso.datetime(),
  vms: z.array(Vm),
  hosts: z.array(Host),
  moves: z.array(Move),
  suggestions: z.array(Decision),
  /** The policy's latest word on each VM it watches, "stay" included. */
  decisions: z.array(Decision),
  host: z.object({
    enabled: z.boolean(),
    port: Port.optional(),
    /** Where other computers may reach that port; while it is open. */
    addresses: z.array(HostAddress).optional(),
    visitors: z.array(VisitInfo),
    /** Visits that ended lately otherwise than by the VM going home, newest first. */
    past: z.array(VisitInfo).optional(),
  }),
  guard: GuardStatus,
  preferences: Preferences,
});
export type Status = z.infer<typeof Status>;

/** Verdict before anything starts. */
export const Plan = z.object({
  vm: VmUuid,
  vmName: z.string(),
  direction: Direction,
  host: Fingerprint,
  hostName: DisplayName,
  possible: z.boolean(),
  /** Why not, or what would be lost. Empty when all is well. */
  obstacles: z.array(z.string()),
  warnings: z.array(z.string()),
  expectedBytes: Bytes.optional(),
  expectedMs: z.number().optional(),
  /** How it would be done, as far as is known before; absent where the link was never measured. */
  way: Planned.optional(),
  /** A deadline was given, and `way` says how sure it is to be kept. */
  inTime: z.literal(true).optional(),
  postcopy: z.boolean(),
  /** Why post-copy is out of the question, where it is. */
  postcopyObstacle: z.string().optional(),
});
export type Plan = z.infer<typeof Plan>;

export const LogEntry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('move'), at: z.iso.datetime(), move: Move }),
  z.object({ kind: z.literal('decision'), at: z.iso.datetime(), decision: Decision }),
  z.object({ kind: z.literal('event'), at: z.iso.datetime(), text: z.string() }),
]);
export type LogEntry = z.infer<typeof LogEntry>;

const Nothing = z.object({}).strict();

/** From now, at most a day. */
const Deadline = z.number().min(0).max(86_400_000);

export const calls = {
  'engine.status': { params: Nothing, result: Status },
  'engine.stop': { params: Nothing, result: Nothing },
  'vms.list': { params: Nothing, result: z.array(Vm) },
  /** What adopt would change; changes nothing. */
  'vm.adoptPreview': {
    params: z.object({ vm: VmKey }),
    result: z.object({ before: z.string(), after: z.string(), changes: z.array(z.string()) }),
  },
  'vm.adopt': { params: z.object({ vm: VmKey }), result: Vm },
  'vm.release': { params: z.object({ vm: VmKey }), result: Vm },
  'vm.setLevel': { params: z.object({ vm: VmKey, level: Level }), result: Vm },
  'hosts.list': { params: Nothing, result: z.array(Host) },
  'hosts.add': { params: z.object({ address: z.string().min(1).max(253), port: Port }), result: Host },
  'hosts.forget': { params: z.object({ host: HostKey }), result: Nothing },
  /** Dials the host and exchanges commitments; the answer is the code to compare. */
  'pair.start': { params: z.object({ host: HostKey }), result: Pairing },
  /** Pairings waiting for a person on this machine, either role. */
  'pair.pending': { params: Nothing, result: z.array(Pairing) },
  /** Resolves when the other side has answered too. */
  'pair.answer': { params: z.object({ id: Token, accept: z.boolean() }), result: z.object({ paired: z.boolean() }) },
  'peers.list': { params: Nothing, result: z.array(Peer) },
  'peers.rename': { params: z.object({ fingerprint: HostKey, name: DisplayName }), result: Peer },
  'peers.revoke': { params: z.object({ fingerprint: HostKey }), result: Nothing },
  'move.plan': {
    params: z.object({ vm: VmKey, direction: Direction, host: HostKey.optional(), deadlineMs: Deadline.optional() }),
    result: Plan,
  },
  /** Returns once the move is planned and journaled; follow it by events or `move.wait`. */
  'move.offload': { params: z.object({ vm: VmKey, host: HostKey.optional() }), result: Move },
  /** With a deadline that cannot be kept, the VM is paused where it is. */
  'move.home': { params: z.object({ vm: VmKey, deadlineMs: Deadline.optional() }), result: Move },
  /** Home by itself as soon as the host can be reached; at once where it can. */
  'home.want': { params: z.object({ vm: VmKey }), result: Vm },
  'home.unwant': { params: z.object({ vm: VmKey }), result: Vm },
  /**
   * From the home disk, for a VM whose visitor is out of reach or gone: the visitor is cut off for good, and its
   * memory is lost. Without `start` the VM is left shut off.
   */
  'vm.restartHere': { params: z.object({ vm: VmKey, start: z.boolean() }), result: Vm },
  /** The move in its end state. */
  'move.wait': { params: z.object({ id: Token }), result: Move },
  'move.cancel': { params: z.object({ vm: VmKey }), result: Move },
  /** Flip to post-copy now. */
  'move.finishNow': { params: z.object({ vm: VmKey }), result: Move },
  /** "Not now": this suggestion is not made again for half an hour; with `forEver` never for that VM and host. */
  'suggestion.dismiss': { params: z.object({ vm: VmKey, forEver: z.boolean().optional() }), result: Nothing },
  /** Erases what the policy has learnt of one VM, or of all. */
  'policy.forget': { params: z.object({ vm: VmKey.optional() }), result: Nothing },
  'log.list': { params: z.object({ limit: z.int().min(1).max(10_000) }), result: z.array(LogEntry) },
  'doctor.run': { params: Nothing, result: z.array(Finding) },
  'host.facts': { params: Nothing, result: HostFacts },
  'host.benchmark': { params: z.object({ host: HostKey }), result: Benchmark },
  'host.settings': { params: Nothing, result: HostSettings },
  'host.configure': { params: HostSettings.partial(), result: HostSettings },
  /** At a workstation: asks the laptop that a visitor belongs to, to bring it home. */
  'visit.sendHome': { params: z.object({ visit: Token }), result: Nothing },
  'preferences.change': {
    params: Preferences.partial().extend({
      notify: Notify.partial().optional(),
      departure: DepartureChange.optional(),
    }),
    result: Preferences,
  },
} as const;
export type Calls = typeof calls;

export const events = {
  /** Something a view shows has changed; carries the whole, at most four times a second. */
  status: Status,
  move: Move,
  decision: Decision,
  pairing: Pairing,
} as const;
export type Events = typeof events;
