/**
 * What may be concluded from what both libvirts say after a migrate call ended badly or an engine restarted.
 * A table, so that every pair is decided and can be read at a glance.
 */

/** What one libvirt says of the VM. */
export const seens = [
  /** Running, not in post-copy. */
  'running',
  /** Stopped with its whole memory. */
  'paused',
  /** A receiver that has never run. */
  'incoming',
  /** Stopped after the flip: holds pages the destination still needs (VIR_DOMAIN_PAUSED_POSTCOPY*). */
  'postcopy-source',
  /** Runs, or stalls, with pages missing (VIR_DOMAIN_RUNNING_POSTCOPY*). */
  'postcopy-destination',
  'absent',
  /** The place could not be asked. */
  'unknown',
] as const;
export type Seen = (typeof seens)[number];

export type Verdict =
  /** The source goes on; the destination is fenced. */
  | 'stayed'
  /** As `stayed`, and the source must be told to run again. */
  | 'stayed-paused'
  | 'switched'
  /** Post-copy broke and both halves are there. */
  | 'recover'
  /** Not enough is known; ask again when the link is up. */
  | 'wait'
  | 'lost';

type Row = Readonly<Record<Seen, Verdict>>;

/**
 * verdicts[source][destination]. The reasons, row by row: a source that runs outside post-copy has never
 * handed over. A paused source still holds everything unless the destination already runs, or has run and was stopped
 * since (as by its disk): a receiver that never ran is `incoming`, not `paused`. A source in post-copy holds only a part, so
 * both are needed. Without a source only a destination that has run, or was paused after its memory was complete, is a VM.
 */
const verdicts: Readonly<Record<Seen, Row>> = {
  running: row('stayed', 'stayed', 'stayed', 'stayed', 'stayed', 'stayed', 'stayed'),
  paused: row('switched', 'switched', 'stayed-paused', 'stayed-paused', 'recover', 'stayed-paused', 'wait'),
  incoming: row('switched', 'wait', 'wait', 'wait', 'wait', 'lost', 'wait'),
  'postcopy-source': row('switched', 'recover', 'recover', 'recover', 'recover', 'lost', 'wait'),
  'postcopy-destination': row('switched', 'wait', 'wait', 'wait', 'wait', 'lost', 'wait'),
  absent: row('switched', 'switched', 'lost', 'lost', 'lost', 'lost', 'wait'),
  unknown: row('switched', 'wait', 'wait', 'wait', 'wait', 'wait', 'wait'),
};

/** Columns in the order of `seens`. */
function row(...columns: readonly [Verdict, Verdict, Verdict, Verdict, Verdict, Verdict, Verdict]): Row {
  const [running, paused, incoming, source, destination, absent, unknown] = columns;
  return {
    running,
    paused,
    incoming,
    'postcopy-source': source,
    'postcopy-destination': destination,
    absent,
    unknown,
  };
}

/** A paused source when the destination was heard to run with the whole memory: it is older than the disk. */
const handedOver = row('switched', 'switched', 'wait', 'wait', 'recover', 'lost', 'wait');

/**
 * `ran`: whether the journal knows that the destination has run, and with how much of the memory. Then a paused source is
 * no longer the VM.
 */
export function verdictOf(source: Seen, destination: Seen, ran: 'unheard' | 'whole' | 'split'): Verdict {
  if (source !== 'paused' || ran === 'unheard') return verdicts[source][destination];
  return ran === 'split' ? verdicts['postcopy-source'][destination] : handedOver[destination];
}
