import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import {
  beginPairing,
  type PairingEvent,
  type PairingMessage,
  type PairingSide,
  type PairingState,
  type PairingStep,
  pairingNotices,
  stepPairing,
} from './pairing-protocol.ts';

export interface PairingOptions extends Omit<PairingSide, 'nonce'> {
  /** For the whole of it, the person's comparing included. */
  readonly timeoutMs: number;
  /** Done between the second yes and `paired`; where it throws, so does that. */
  readonly onAgreed: (agreed: { readonly peerName: string }) => Promise<void>;
}

/** One pairing under way over a connection it owns. */
export interface PairingRun {
  /** The code to show and the other's name for itself; rejects `pairing-failed` or `timeout` when it ends before. */
  readonly compared: Promise<{ readonly code: string; readonly peerName: string }>;
  /** Fulfilled when both sides have accepted; rejects `pairing-failed` or `timeout` otherwise. */
  readonly paired: Promise<{ readonly peerName: string }>;
  /** What the person at this machine says. */
  answer(accept: boolean): void;
  /** Gives up; harmless afterwards. */
  abort(why: HomewardError): void;
}

/** Runs the protocol over `connection`, whose peer certificate has `peerFingerprint`; ends the connection. */
export function runPairing(connection: Duplex, options: PairingOptions): PairingRun {
  const { timeoutMs, onAgreed, ...known } = options;
  const side: PairingSide = { ...known, nonce: randomBytes(32).toString('hex') };
  const compared = Promise.withResolvers<{ code: string; peerName: string }>();
  const paired = Promise.withResolvers<{ peerName: string }>();
  // Whoever awaits only one of the two must not be hit by the other's rejection.
  for (const { promise } of [compared, paired]) promise.catch(() => undefined);

  let state: PairingState = { phase: 'committed' };
  const fail = (why: HomewardError): void => take({ state: { phase: 'failed', why }, send: [] });
  const deadline = setTimeout(
    () => fail(new HomewardError('timeout', `The pairing was not finished within ${timeoutMs / 1_000} s.`)),
    timeoutMs,
  );
  const receive = (message: PairingMessage): void => apply({ kind: 'received', message });
  const endpoint = endpointOver(connection, {
    serves: {},
    handlers: {},
    uses: {},
    hears: pairingNotices,
    listeners: {
      'pair.commit': (payload) => receive({ kind: 'pair.commit', ...payload }),
      'pair.reveal': (payload) => receive({ kind: 'pair.reveal', ...payload }),
      'pair.answer': (payload) => receive({ kind: 'pair.answer', ...payload }),
      'pair.refused': (payload) => receive({ kind: 'pair.refused', ...payload }),
    },
    sends: pairingNotices,
    timeoutMs,
    onFault: (fault) =>
      fail(
        new HomewardError('pairing-failed', 'The other machine does not keep to the pairing protocol.', {
          cause: fault,
        }),
      ),
    whenClosed: () => new HomewardError('pairing-failed', 'The other machine ended the pairing.'),
  });
  for (const event of ['end', 'close']) {
    connection.once(event, () => fail(new HomewardError('pairing-failed', 'The other machine ended the pairing.')));
  }

  function post(message: PairingMessage): void {
    switch (message.kind) {
      case 'pair.commit':
        endpoint.notify(message.kind, { commitment: message.commitment, name: message.name });
        break;
      case 'pair.reveal':
        endpoint.notify(message.kind, { nonce: message.nonce });
        break;
      case 'pair.answer':
        endpoint.notify(message.kind, { accept: message.accept });
        break;
      case 'pair.refused':
        endpoint.notify(message.kind, { reason: message.reason });
        break;
    }
  }

  function apply(event: PairingEvent): void {
    take(stepPairing(side, state, event));
  }

  function take(step: PairingStep): void {
    if (state.phase === 'paired' || state.phase === 'failed') return;
    state = step.state;
    for (const message of step.send) post(message);
    if (state.phase === 'comparing') compared.resolve({ code: state.code, peerName: state.peerName });
    if (state.phase === 'paired') {
      const agreed = { peerName: state.peerName };
      paired.resolve(onAgreed(agreed).then(() => agreed));
    }
    if (state.phase === 'failed') {
      compared.reject(state.why);
      paired.reject(state.why);
    }
    if (state.phase === 'paired' || state.phase === 'failed') {
      clearTimeout(deadline);
      // Flushes the answer just sent; a peer that does not hang up in turn is cut off.
      connection.end();
      setTimeout(() => connection.destroy(), 1_000).unref();
    }
  }

  take(beginPairing(side));
  return {
    compared: compared.promise,
    paired: paired.promise,
    answer: (accept) => apply({ kind: 'answered', accept }),
    abort: fail,
  };
}
