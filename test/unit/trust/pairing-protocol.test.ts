import { describe, expect, it } from 'vitest';
import {
  beginPairing,
  type PairingMessage,
  type PairingSide,
  type PairingState,
  stepPairing,
} from '../../../main/trust/pairing-protocol.ts';

const hex = (digit: string) => digit.repeat(64);
const host: PairingSide = {
  role: 'host',
  ownFingerprint: hex('a'),
  peerFingerprint: hex('b'),
  ownName: 'desk',
  nonce: hex('1'),
};
const laptop: PairingSide = {
  role: 'laptop',
  ownFingerprint: hex('b'),
  peerFingerprint: hex('a'),
  ownName: 'lap',
  nonce: hex('2'),
};

/** One side, driven by hand. */
function run(side: PairingSide) {
  const first = beginPairing(side);
  let state: PairingState = first.state;
  const outbox: PairingMessage[] = [...first.send];
  const apply = (step: { state: PairingState; send: readonly PairingMessage[] }) => {
    state = step.state;
    outbox.push(...step.send);
    return state;
  };
  return {
    outbox,
    state: () => state,
    receive: (message: PairingMessage | undefined) => {
      if (message === undefined) throw new Error('nothing was sent');
      return apply(stepPairing(side, state, { kind: 'received', message }));
    },
    answer: (accept: boolean) => apply(stepPairing(side, state, { kind: 'answered', accept })),
  };
}

/** Carries messages until both are silent. */
function converse(a: ReturnType<typeof run>, b: ReturnType<typeof run>): void {
  while (a.outbox.length + b.outbox.length > 0) {
    for (const message of a.outbox.splice(0)) b.receive(message);
    for (const message of b.outbox.splice(0)) a.receive(message);
  }
}

const codeIn = (state: PairingState) => (state.phase === 'comparing' ? state.code : state.phase);

describe('pairing', () => {
  it('shows both the same six digits and pairs when both accept', () => {
    const [a, b] = [run(host), run(laptop)];
    converse(a, b);
    expect(codeIn(a.state())).toMatch(/^\d{6}$/);
    expect(codeIn(a.state())).toBe(codeIn(b.state()));
    a.answer(true);
    converse(a, b);
    expect(a.state().phase).toBe('comparing');
    b.answer(true);
    converse(a, b);
    expect([a.state(), b.state()]).toEqual([
      { phase: 'paired', peerName: 'lap' },
      { phase: 'paired', peerName: 'desk' },
    ]);
  });

  it.each([
    [true, false],
    [false, true],
    [false, false],
  ])('pairs neither when the answers are %s and %s', (first, second) => {
    const [a, b] = [run(host), run(laptop)];
    converse(a, b);
    a.answer(first);
    b.answer(second);
    converse(a, b);
    expect([a.state().phase, b.state().phase]).toEqual(['failed', 'failed']);
  });

  it('reveals nothing before the other has committed', () => {
    const a = run(host);
    expect(a.outbox.map(({ kind }) => kind)).toEqual(['pair.commit']);
    expect(JSON.stringify(a.outbox)).not.toContain(host.nonce);
    expect(a.receive({ kind: 'pair.reveal', nonce: hex('3') }).phase).toBe('failed');
    expect(JSON.stringify(a.outbox)).not.toContain(host.nonce);
  });

  it.each([
    ['another nonce', (reveal: PairingMessage) => ({ ...reveal, nonce: hex('3') }), (commit: PairingMessage) => commit],
    ['another name', (reveal: PairingMessage) => reveal, (commit: PairingMessage) => ({ ...commit, name: 'evil' })],
  ])('refuses %s than was committed to', (_what, alterReveal, alterCommit) => {
    const [a, b] = [run(host), run(laptop)];
    const [commit] = b.outbox.splice(0);
    b.receive(a.outbox.shift());
    const [reveal] = b.outbox.splice(0);
    if (commit === undefined || reveal === undefined) throw new Error('nothing was sent');
    a.receive(alterCommit(commit) as PairingMessage);
    const state = a.receive(alterReveal(reveal) as PairingMessage);
    expect(state).toMatchObject({ phase: 'failed', why: { code: 'pairing-failed' } });
  });

  it('refuses its own words played back to it', () => {
    const a = run({ ...host, peerFingerprint: host.ownFingerprint });
    a.receive(a.outbox[0]);
    expect(a.receive(a.outbox[1]).phase).toBe('failed');
  });

  it('depends on both fingerprints, names and nonces', () => {
    const code = (h: Partial<PairingSide>, l: Partial<PairingSide>) => {
      const [a, b] = [run({ ...host, ...h }), run({ ...laptop, ...l })];
      converse(a, b);
      return codeIn(a.state());
    };
    const codes = [
      code({}, {}),
      code({ nonce: hex('4') }, {}),
      code({}, { nonce: hex('4') }),
      code({ ownName: 'x' }, {}),
      code({}, { ownName: 'x' }),
      code({ ownFingerprint: hex('c') }, { peerFingerprint: hex('c') }),
      code({ peerFingerprint: hex('c') }, { ownFingerprint: hex('c') }),
    ];
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('spreads codes evenly over the million', () => {
    const counts = new Array<number>(10).fill(0);
    for (let n = 0; n < 5_000; n += 1) {
      const [a, b] = [run({ ...host, nonce: n.toString(16).padStart(64, '0') }), run(laptop)];
      converse(a, b);
      const digit = Number(codeIn(a.state()).at(0));
      counts[digit] = (counts[digit] ?? 0) + 1;
    }
    // 500 each; five standard deviations (21.2) either way.
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(107);
  });

  it.each<PairingMessage>([
    { kind: 'pair.answer', accept: true },
    { kind: 'pair.reveal', nonce: hex('5') },
  ])('takes no $kind before its turn', (message) => {
    expect(run(host).receive(message).phase).toBe('failed');
  });

  it('takes no second commitment, reveal or answer', () => {
    for (const repeat of ['pair.commit', 'pair.reveal'] as const) {
      const [a, b] = [run(host), run(laptop)];
      const said = [...b.outbox];
      b.receive(a.outbox.shift());
      said.push(...b.outbox.slice(1));
      for (const message of said) a.receive(message);
      expect(a.state().phase).toBe('comparing');
      const again = said.find(({ kind }) => kind === repeat);
      expect(a.receive(again).phase).toBe('failed');
    }
    const [a, b] = [run(host), run(laptop)];
    converse(a, b);
    a.receive({ kind: 'pair.answer', accept: true });
    expect(a.receive({ kind: 'pair.answer', accept: true }).phase).toBe('failed');
  });
});
