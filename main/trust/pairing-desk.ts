import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { Pairing } from '../../shared/rpc.ts';
import type { Identity } from './identity.ts';
import { type PairingRun, runPairing } from './pairing.ts';
import { pairingNotices } from './pairing-protocol.ts';
import type { PeerRole, PeerStore } from './peers.ts';

/** Each attempt gives somebody in the middle one guess in a million, so attempts are rationed. */
const attemptsPerMinute = 3;
const attemptsPerMinuteFromAll = 10;
const incomingAtOnce = 4;

export interface PairingDeskOptions {
  readonly identity: Identity;
  readonly peers: PeerStore;
  /** What this machine calls itself. */
  readonly ownName: () => string;
  /** A pairing whose code a person should compare now. */
  readonly onPairing: (pairing: Pairing) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
}

interface Open {
  readonly pairing: Pairing;
  readonly run: PairingRun;
}

/** Where pairings wait for a person, in either role. `Pairing.role` is what this machine is in it. */
export class PairingDesk {
  readonly #options: Required<PairingDeskOptions>;
  readonly #open = new Map<string, Open>();
  readonly #runs = new Set<PairingRun>();
  readonly #incomingFrom = new Set<string>();
  #attempts: { readonly address: string; readonly atMs: number }[] = [];

  constructor(options: PairingDeskOptions) {
    this.#options = { now: () => performance.now(), timeoutMs: 120_000, ...options };
  }

  /** Host: somebody dialled the port to pair. Never throws; `connection` is ended when it is over. */
  receive(connection: Duplex, peerFingerprint: string, remoteAddress: string): void {
    const reason = this.#ration(remoteAddress);
    if (reason !== undefined) {
      refuse(connection, reason);
      return;
    }
    this.#incomingFrom.add(remoteAddress);
    const { done } = this.#begin(connection, peerFingerprint, 'host');
    done.finally(() => this.#incomingFrom.delete(remoteAddress)).catch(() => undefined);
  }

  /**
   * Laptop: over a connection just dialled to a host. Answers with the code to compare.
   * @throws HomewardError `pairing-failed`, `timeout`
   */
  async begin(connection: Duplex, peerFingerprint: string): Promise<Pairing> {
    return this.#begin(connection, peerFingerprint, 'laptop').ready;
  }

  /** What waits for a person here. */
  pending(): readonly Pairing[] {
    return [...this.#open.values()].map(({ pairing }) => pairing);
  }

  /**
   * The person's word; fulfilled when both sides have spoken and, where paired, the peer is stored.
   * @throws HomewardError `bad-input`: no such pairing (any more); `pairing-failed` or `timeout`: not for lack of
   * a yes on this side
   */
  async answer(id: string, accept: boolean): Promise<{ paired: boolean }> {
    const open = this.#open.get(id);
    if (open === undefined) throw new HomewardError('bad-input', 'That pairing is over. Begin a new one.');
    open.run.answer(accept);
    if (!accept) return { paired: false };
    await open.run.paired;
    return { paired: true };
  }

  /** Gives up every pairing. */
  close(): void {
    for (const run of this.#runs) run.abort(new HomewardError('cancelled', 'Homeward is shutting down.'));
  }

  #begin(connection: Duplex, peerFingerprint: string, role: PeerRole) {
    const { identity, ownName, timeoutMs, onPairing, peers } = this.#options;
    const own = { role, ownFingerprint: identity.fingerprint, ownName: ownName() };
    const storing = async ({ peerName }: { peerName: string }): Promise<void> => {
      await peers.add({
        fingerprint: peerFingerprint,
        name: peerName,
        pairedAt: new Date().toISOString(),
        role: role === 'host' ? 'laptop' : 'host',
      });
    };
    const run = runPairing(connection, { ...own, peerFingerprint, timeoutMs, onAgreed: storing });
    this.#runs.add(run);
    const id = randomBytes(16).toString('hex');
    const ready = run.compared.then(({ code, peerName }) => {
      const pairing: Pairing = { id, role, peerName, fingerprint: peerFingerprint, code };
      this.#open.set(id, { pairing, run });
      onPairing(pairing);
      return pairing;
    });
    const done = run.paired.finally(() => {
      this.#open.delete(id);
      this.#runs.delete(run);
    });
    // Both are told to whoever asked; a pairing nobody here asked for may fail unheard.
    ready.catch(() => undefined);
    done.catch(() => undefined);
    return { ready, done };
  }

  /** Why a pairing asked for from `address` is refused; notes it otherwise. */
  #ration(address: string): 'busy' | 'too-often' | undefined {
    if (this.#incomingFrom.has(address) || this.#incomingFrom.size >= incomingAtOnce) return 'busy';
    const atMs = this.#options.now();
    this.#attempts = this.#attempts.filter((attempt) => atMs - attempt.atMs < 60_000);
    const fromHere = this.#attempts.filter((attempt) => attempt.address === address).length;
    if (fromHere >= attemptsPerMinute || this.#attempts.length >= attemptsPerMinuteFromAll) return 'too-often';
    this.#attempts.push({ address, atMs });
    return undefined;
  }
}

function refuse(connection: Duplex, reason: 'busy' | 'too-often'): void {
  const endpoint = endpointOver(connection, {
    serves: {},
    handlers: {},
    uses: {},
    hears: {},
    listeners: {},
    sends: pairingNotices,
    timeoutMs: 1_000,
    onFault: () => connection.destroy(),
    whenClosed: () => new HomewardError('pairing-failed', 'The connection has ended.'),
  });
  endpoint.notify('pair.refused', { reason });
  connection.end();
  setTimeout(() => connection.destroy(), 1_000).unref();
}
