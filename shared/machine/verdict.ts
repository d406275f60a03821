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
  /** Stopped by a flip that QEMU called off: has its whole memory, and gives nothing to anybody any more. */
  'flip-failed',
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
 * both are needed. One whose flip failed is whole unless the destination has begun to run all the same: then they never come
 * together again. Without a source only a destination that has run, or was paused after its memory was complete, is a VM.
 */
const verdicts: Readonly<Record<Seen, Row>> = {
  running: row('stayed', 'stayed', 'stayed', 'stayed', 'stayed', 'stayed', 'stayed', 'stayed'),
  paused: row('switched', 'switched', 'stayed-paused', 'stayed-paused', 'wait', 'recover', 'stayed-paused', 'wait'),
  incoming: row('switched', 'wait', 'wait', 'wait', 'wait', 'wait', 'lost', 'wait'),
  'postcopy-source': row('switched', 'recover', 'recover', 'recover', 'wait', 'recover', 'lost', 'wait'),
  'flip-failed': row('switched', 'wait', 'stayed-paused', 'wait', 'wait', 'lost', 'stayed-paused', 'wait'),
  'postcopy-destination': row('switched', 'wait', 'wait', 'wait', 'wait', 'wait', 'lost', 'wait'),
  absent: row('switched', 'switched', 'lost', 'lost', 'wait', 'lost', 'lost', 'wait'),
  unknown: row('switched', 'wait', 'wait', 'wait', 'wait', 'wait', 'wait', 'wait'),
};

/** Columns in the order of `seens`. */
function row(...columns: readonly [Verdict, Verdict, Verdict, Verdict, Verdict, Verdict, Verdict, Verdict]): Row {
  const [running, paused, incoming, source, flipFailed, destination, absent, unknown] = columns;
  return {
    running,
    paused,
    incoming,
    'postcopy-source': source,
    'flip-failed': flipFailed,
    'postcopy-destination': destination,
    absent,
    unknown,
  };
}

/** A stopped source when the destination was heard to run with the whole memory: it is older than the disk. */
const handedOver = row('switched', 'switched', 'wait', 'wait', 'wait', 'recover', 'lost', 'wait');

/** A source whose flip failed when the destination was heard to run all the same: older than the disk, and no help. */
const takenOver = row('switched', 'wait', 'wait', 'wait', 'wait', 'lost', 'lost', 'wait');

/**
 * What the journal knows of the destination: nothing; that it was heard to run, with the whole memory or with a part; or only
 * that the source stopped for the flip.
 */
export type Ran = 'unheard' | 'whole' | 'part' | 'flipped';

/**
 * A source whose flip failed where nobody listened all the time: QEMU also fails one so whose destination ran for long and then
 * died, and only a receiver that is still there proves that it never ran.
 */
const mayHaveRun = row('switched', 'wait', 'stayed-paused', 'wait', 'wait', 'lost', 'lost', 'wait');

/** @param deaf whether the destination may have begun to run without being heard */
export function verdictOf(source: Seen, destination: Seen, ran: Ran, deaf = false): Verdict {
  if (source === 'paused' && (ran === 'part' || ran === 'flipped')) return verdicts['postcopy-source'][destination];
  if (source === 'flip-failed' && ran === 'part') return takenOver[destination];
  if ((source === 'paused' || source === 'flip-failed') && ran === 'whole') return handedOver[destination];
  return (source === 'flip-failed' && deaf ? mayHaveRun : verdicts[source])[destination];
}
