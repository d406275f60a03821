import type { VmUuid } from '../../shared/model/identifiers.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Place } from '../../shared/model/vm.ts';
import type { LogEntry } from '../../shared/rpc.ts';
import { maxLineBytes } from '../../shared/wire.ts';
import { type HomeWish, type JournalEntry, lineOf, type RecoveryData } from './journal-lines.ts';

export interface MoveRecord {
  readonly move: Move;
  readonly data: RecoveryData | undefined;
}

export interface PlaceRecord {
  readonly vm: VmUuid;
  readonly place: Place;
  readonly data: RecoveryData | undefined;
}

type EntryOf<K extends JournalEntry['kind']> = Extract<JournalEntry, { kind: K }>;
type Note = EntryOf<'decision'> | EntryOf<'event'>;

/** More is forgotten, oldest first; a log of a year of ordinary use is shorter. */
const maxNotes = 10_000;
const maxEndedMoves = 2_000;
/** The log crosses the local socket as one line; the rest of the line is the envelope's. */
const maxHistoryCharacters = maxLineBytes - 64 * 1024;

export function hasEnded(move: Move): boolean {
  return move.phase === 'done' || move.phase === 'failed' || move.phase === 'lost';
}

/** What the journal's entries add up to. No I/O. */
export class JournalMemory {
  /** Ordered by latest entry: a move is put at the end again whenever it is heard of. */
  readonly #moves = new Map<string, EntryOf<'move'>>();
  readonly #places = new Map<VmUuid, EntryOf<'place'>>();
  readonly #wishes = new Map<VmUuid, EntryOf<'wish'>>();
  readonly #notes: Note[] = [];
  #lastSeq = 0;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  take(entry: JournalEntry): void {
    this.#lastSeq = entry.seq;
    switch (entry.kind) {
      case 'move': {
        const before = this.#moves.get(entry.move.id);
        this.#moves.delete(entry.move.id);
        this.#moves.set(entry.move.id, { ...entry, data: entry.data === undefined ? before?.data : entry.data });
        if (hasEnded(entry.move)) this.#forgetOldMoves();
        return;
      }
      case 'place': {
        const before = this.#places.get(entry.vm);
        this.#places.set(entry.vm, { ...entry, data: entry.data === undefined ? before?.data : entry.data });
        return;
      }
      case 'wish':
        this.#wishes.set(entry.vm, entry);
        return;
      case 'decision':
      case 'event':
        this.#notes.push(entry);
        if (this.#notes.length > maxNotes * 1.2) this.#notes.splice(0, this.#notes.length - maxNotes);
        return;
    }
  }

  moves(): readonly MoveRecord[] {
    return [...this.#moves.values()].map(moveRecord);
  }

  move(id: string): MoveRecord | undefined {
    const entry = this.#moves.get(id);
    return entry === undefined ? undefined : moveRecord(entry);
  }

  place(vm: VmUuid): PlaceRecord | undefined {
    const entry = this.#places.get(vm);
    return entry === undefined ? undefined : placeRecord(entry);
  }

  places(): readonly PlaceRecord[] {
    return [...this.#places.values()].map(placeRecord);
  }

  /** Undefined where nobody wants it home, or the visit it was wanted home from is over. */
  wish(vm: VmUuid): HomeWish | undefined {
    const wish = this.#wishes.get(vm)?.wish;
    const place = this.#places.get(vm)?.place;
    return wish && place?.kind === 'away' && place.visit === wish.visit ? wish : undefined;
  }

  history(limit: number): LogEntry[] {
    const newestFirst = [...this.#moves.values(), ...this.#notes].sort((a, b) => b.seq - a.seq);
    const log: LogEntry[] = [];
    let characters = 0;
    for (const entry of newestFirst.slice(0, limit)) {
      const logged = logEntry(entry);
      characters += JSON.stringify(logged).length;
      if (characters > maxHistoryCharacters) break;
      log.push(logged);
    }
    return log;
  }

  /** Entries that say the same for recovery, with as much of the log, newest first, as fits `maxLogBytes`. */
  compact(maxLogBytes: number): JournalEntry[] {
    const moves = [...this.#moves.values()];
    const wishes = [...this.#wishes.values()].filter(({ vm }) => this.wish(vm) !== undefined);
    const needed: JournalEntry[] = [...this.#places.values(), ...wishes, ...moves.filter(neededForRecovery)];
    const ended = moves.filter((entry) => !neededForRecovery(entry)).map((entry) => ({ ...entry, data: undefined }));
    const newestFirst = [...ended, ...this.#notes].sort((a, b) => b.seq - a.seq);
    let bytes = 0;
    const kept = newestFirst.filter((entry) => {
      bytes += Buffer.byteLength(lineOf(entry));
      return bytes <= maxLogBytes;
    });
    return [...needed, ...kept].sort((a, b) => a.seq - b.seq);
  }

  #forgetOldMoves(): void {
    const ended = [...this.#moves.values()].filter((entry) => !neededForRecovery(entry));
    for (const entry of ended.slice(0, Math.max(0, ended.length - maxEndedMoves))) this.#moves.delete(entry.move.id);
  }
}

/** A lost VM's saved definition may be all that is left of it: kept until the user starts it again. */
function neededForRecovery({ move }: EntryOf<'move'>): boolean {
  return !hasEnded(move) || move.phase === 'lost';
}

function moveRecord({ move, data }: EntryOf<'move'>): MoveRecord {
  return { move, data: data ?? undefined };
}

function placeRecord({ vm, place, data }: EntryOf<'place'>): PlaceRecord {
  return { vm, place, data: data ?? undefined };
}

function logEntry(entry: EntryOf<'move'> | Note): LogEntry {
  switch (entry.kind) {
    case 'move':
      return { kind: 'move', at: entry.at, move: entry.move };
    case 'decision':
      return { kind: 'decision', at: entry.at, decision: entry.decision };
    case 'event':
      return { kind: 'event', at: entry.at, text: entry.text };
  }
}
