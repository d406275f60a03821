/**
 * Two machines that never met, each seeing the other's certificate, and a person who looks at both screens.
 *
 *     laptop                                host
 *       commit H(role‖own‖peer‖name‖nonce) ⇄     neither has seen the other's nonce
 *       reveal nonce                       ⇄     each checks it against the commitment
 *       both show  code = H(fingerprints, names, nonces) mod 10⁶
 *       answer accept                      ⇄     paired when both said yes
 *
 * Somebody in the middle has a certificate of their own, so the two codes are hashes of different things; and
 * since they must commit to their nonces before they learn the real ones, they cannot try nonces until the
 * codes agree: one guess in a million per attempt, and attempts are rationed (PairingDesk).
 *
 * Pure but for hashing: `step` says what to send and what became of it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { DisplayName, Hex256 } from '../../shared/model/identifiers.ts';
import type { PeerRole } from './peers.ts';

/** Sent by both sides as JSON-RPC notices. */
export const pairingNotices = {
  'pair.commit': z.object({ commitment: Hex256, name: DisplayName }),
  'pair.reveal': z.object({ nonce: Hex256 }),
  'pair.answer': z.object({ accept: z.boolean() }),
  /** Before anything else, from a host that will not pair now. A stranger's own words are shown to nobody. */
  'pair.refused': z.object({ reason: z.enum(['busy', 'too-often']) }),
} as const;

export type PairingMessage = {
  [K in keyof typeof pairingNotices]: { readonly kind: K } & z.infer<(typeof pairingNotices)[K]>;
}[keyof typeof pairingNotices];

/** One side and what it knows from the start. */
export interface PairingSide {
  /** What this machine is in the pairing. */
  readonly role: PeerRole;
  readonly ownFingerprint: string;
  readonly peerFingerprint: string;
  readonly ownName: string;
  /** 256 random bits, hex. */
  readonly nonce: string;
}

export type PairingState =
  | { readonly phase: 'committed' }
  | { readonly phase: 'revealed'; readonly peerName: string; readonly commitment: string }
  | {
      readonly phase: 'comparing';
      readonly peerName: string;
      readonly code: string;
      readonly own?: boolean;
      readonly theirs?: boolean;
    }
  | { readonly phase: 'paired'; readonly peerName: string }
  | { readonly phase: 'failed'; readonly why: HomewardError };

export type PairingEvent =
  | { readonly kind: 'received'; readonly message: PairingMessage }
  | { readonly kind: 'answered'; readonly accept: boolean };

export interface PairingStep {
  readonly state: PairingState;
  readonly send: readonly PairingMessage[];
}

/** Both sides speak first. */
export function beginPairing(side: PairingSide): PairingStep {
  const commitment = commitmentOf(side.role, side.ownFingerprint, side.peerFingerprint, side.ownName, side.nonce);
  return { state: { phase: 'committed' }, send: [{ kind: 'pair.commit', commitment, name: side.ownName }] };
}

export function stepPairing(side: PairingSide, state: PairingState, event: PairingEvent): PairingStep {
  if (state.phase === 'paired' || state.phase === 'failed') return { state, send: [] };
  if (event.kind === 'answered') return answered(state, event.accept);
  const { message } = event;
  switch (message.kind) {
    case 'pair.commit':
      if (state.phase !== 'committed') return outOfTurn();
      return {
        state: { phase: 'revealed', peerName: message.name, commitment: message.commitment },
        send: [{ kind: 'pair.reveal', nonce: side.nonce }],
      };
    case 'pair.reveal':
      return state.phase === 'revealed' ? revealed(side, state, message.nonce) : outOfTurn();
    case 'pair.answer':
      if (state.phase !== 'comparing' || state.theirs !== undefined) return outOfTurn();
      if (!message.accept) return failed('The other machine said that the codes differ.');
      return decide({ ...state, theirs: true }, []);
    case 'pair.refused':
      return failed(
        message.reason === 'busy'
          ? 'The other machine is busy with another pairing. Try again when that is finished.'
          : 'The other machine was asked to pair too often. Try again in a minute.',
      );
  }
}

function revealed(side: PairingSide, state: PairingState & { phase: 'revealed' }, peerNonce: string): PairingStep {
  const peerRole = side.role === 'host' ? 'laptop' : 'host';
  const { peerName } = state;
  const expected = commitmentOf(peerRole, side.peerFingerprint, side.ownFingerprint, peerName, peerNonce);
  if (!timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(state.commitment, 'hex'))) {
    return failed('The other machine did not keep to what it had committed to. Somebody may be in the middle.');
  }
  const own = { fingerprint: side.ownFingerprint, name: side.ownName, nonce: side.nonce };
  const peer = { fingerprint: side.peerFingerprint, name: peerName, nonce: peerNonce };
  const code = side.role === 'host' ? codeOf(own, peer) : codeOf(peer, own);
  return { state: { phase: 'comparing', peerName, code }, send: [] };
}

function answered(state: PairingState, accept: boolean): PairingStep {
  if (state.phase !== 'comparing') {
    return { state, send: [] };
  }
  const answer = { kind: 'pair.answer', accept } as const;
  if (!accept) return { ...failed('The pairing was turned down here.'), send: [answer] };
  return state.own === undefined ? decide({ ...state, own: true }, [answer]) : { state, send: [] };
}

function decide(state: PairingState & { phase: 'comparing' }, send: readonly PairingMessage[]): PairingStep {
  if (state.own === true && state.theirs === true)
    return { state: { phase: 'paired', peerName: state.peerName }, send };
  return { state, send };
}

function failed(why: string): PairingStep {
  return { state: { phase: 'failed', why: new HomewardError('pairing-failed', why) }, send: [] };
}

function outOfTurn(): PairingStep {
  return failed('The other machine does not keep to the pairing protocol.');
}

/** The role keeps one side's commitment from being played back to it as the other's. */
function commitmentOf(role: PeerRole, own: string, peer: string, name: string, nonce: string): string {
  return digest('homeward-pair/1 commit', role, own, peer, name, nonce).toString('hex');
}

interface Party {
  readonly fingerprint: string;
  readonly name: string;
  readonly nonce: string;
}

/** Six digits. 2²⁵⁶ is no multiple of 10⁶, but the most likely code is likelier by less than one in 2²³⁰. */
function codeOf(host: Party, laptop: Party): string {
  const parts = [host, laptop].flatMap(({ fingerprint, name, nonce }) => [fingerprint, name, nonce]);
  const number = BigInt(`0x${digest('homeward-pair/1 code', ...parts).toString('hex')}`);
  return (number % 1_000_000n).toString().padStart(6, '0');
}

/** JSON keeps the parts apart: no two different lists have the same text. */
function digest(...parts: readonly string[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}
