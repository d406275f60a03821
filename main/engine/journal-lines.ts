/**
 * The journal's text: one JSON object per line, each carrying the CRC-32 of the rest of its line, so that a line
 * which a broken disk changed into other valid JSON is not believed.
 */
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { Token, VmUuid } from '../../shared/model/identifiers.ts';
import { Move } from '../../shared/model/move.ts';
import { Place } from '../../shared/model/vm.ts';
import { Decision } from '../../shared/rpc.ts';

/** What recovery needs, opaque here: e.g. the saved domain XML. At most `maxDataBytes` as JSON. */
export const RecoveryData = z.record(z.string(), z.json());
export type RecoveryData = z.infer<typeof RecoveryData>;
export const maxDataBytes = 1024 * 1024;

/** A VM at this visit is to come home as soon as it can; it lapses with the visit. */
export const HomeWish = z.object({
  visit: Token,
  reason: z.string().max(2_000),
  askedBy: Move.shape.askedBy,
  since: z.iso.datetime(),
});
export type HomeWish = z.infer<typeof HomeWish>;

/** Left out: what was written before still holds. Null: no longer needed. */
const Data = RecoveryData.nullable().optional();

const Stamp = { seq: z.int().min(1), at: z.iso.datetime() };
export const JournalEntry = z.discriminatedUnion('kind', [
  z.object({ ...Stamp, kind: z.literal('move'), move: Move, data: Data }),
  z.object({ ...Stamp, kind: z.literal('place'), vm: VmUuid, place: Place, data: Data }),
  z.object({ ...Stamp, kind: z.literal('wish'), vm: VmUuid, wish: HomeWish.nullable() }),
  z.object({ ...Stamp, kind: z.literal('decision'), decision: Decision }),
  z.object({ ...Stamp, kind: z.literal('event'), text: z.string().max(10_000) }),
]);
export type JournalEntry = z.infer<typeof JournalEntry>;

const head = /^\{"crc":"(?<crc>[0-9a-f]{8})",(?<rest>.*)$/s;

export function lineOf(entry: JournalEntry): string {
  const rest = JSON.stringify(entry).slice(1);
  return `{"crc":"${checksum(rest)}",${rest}\n`;
}

export interface JournalText {
  /** What can be believed, in order. */
  readonly entries: readonly JournalEntry[];
  /** Whole lines that cannot be believed. */
  readonly damagedLines: number;
  /** Bytes after the last whole line: an entry whose writing was cut short, so nothing relied on it. */
  readonly tornBytes: number;
}

/** Reads any bytes without throwing; returns only what `lineOf` once wrote, each entry once, in its order. */
export function readLines(bytes: Buffer): JournalText {
  const entries: JournalEntry[] = [];
  let damagedLines = 0;
  let start = 0;
  let lastSeq = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    const entry = entryOf(bytes.toString('utf8', start, end));
    if (entry !== undefined && entry.seq > lastSeq) {
      entries.push(entry);
      lastSeq = entry.seq;
    } else {
      damagedLines += 1;
    }
    start = end + 1;
  }
  return { entries, damagedLines, tornBytes: bytes.length - start };
}

function entryOf(line: string): JournalEntry | undefined {
  const { crc, rest } = head.exec(line)?.groups ?? {};
  if (crc === undefined || rest === undefined || checksum(rest) !== crc) return undefined;
  try {
    const entry = JournalEntry.safeParse(JSON.parse(`{${rest}`));
    return entry.success ? entry.data : undefined;
  } catch {
    return undefined;
  }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
