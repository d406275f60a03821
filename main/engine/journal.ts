import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HomewardError } from '../../shared/errors.ts';
import type { VmUuid } from '../../shared/model/identifiers.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Place } from '../../shared/model/vm.ts';
import type { Decision, Finding, LogEntry } from '../../shared/rpc.ts';
import { type HomeWish, JournalEntry, lineOf, maxDataBytes, type RecoveryData, readLines } from './journal-lines.ts';
import { hasEnded, JournalMemory, type MoveRecord, type PlaceRecord } from './journal-memory.ts';
import { asideName, damageFindings, replaceFile, syncFolder, writeError } from './stored-file.ts';

export type { PlaceRecord } from './journal-memory.ts';

export type NewEntry =
  /** `data` left out: what was written for this move before still holds; null: no longer needed. */
  | { readonly kind: 'move'; readonly move: Move; readonly data?: RecoveryData | null }
  | { readonly kind: 'place'; readonly vm: VmUuid; readonly place: Place; readonly data?: RecoveryData | null }
  /** Null: not wanted any more. */
  | { readonly kind: 'wish'; readonly vm: VmUuid; readonly wish: HomeWish | null }
  | { readonly kind: 'decision'; readonly decision: Decision }
  | { readonly kind: 'event'; readonly text: string };

/** The engine's memory across crashes (design §5, I3). One writer: hold the engine lock. */
export interface Journal {
  /** For `doctor`: what was damaged and where it is kept. */
  readonly findings: readonly Finding[];
  /** Bytes of an entry cut short at the end, dropped when the journal was opened; for the log. */
  readonly droppedBytes: number;
  /**
   * Resolves when the entry is on the disk itself; entries are written in the order of the calls.
   * @throws HomewardError `disk-full`, `permission`, `bad-input` (data beyond 1 MiB); the entry does not count then.
   */
  append(entry: NewEntry): Promise<void>;
  /** Latest state of each move known, oldest first. */
  moves(): readonly MoveRecord[];
  /** Moves that had not ended (done, failed, lost) when last heard of. */
  openMoves(): readonly MoveRecord[];
  move(id: string): MoveRecord | undefined;
  /** Undefined: never written, so at home. */
  place(vm: VmUuid): PlaceRecord | undefined;
  places(): readonly PlaceRecord[];
  /** That the VM come home from where it is; undefined where nobody asked. */
  wish(vm: VmUuid): HomeWish | undefined;
  /** Newest first, each move once in its latest state; fewer than `limit` where more would not fit one RPC line. */
  history(limit: number): LogEntry[];
  close(): Promise<void>;
}

export interface JournalOptions {
  readonly now?: () => Date;
  /** Beyond this the file is rewritten with what recovery and the log need. */
  readonly compactAboveBytes?: number;
}

/**
 * Opens or makes the journal. An entry cut short at the end is dropped; lines that are damaged are left out, the
 * whole file as it was is kept beside, and `findings` says so.
 * @throws HomewardError `permission` or `disk-full`, never for what is in the file.
 */
export async function openJournal(file: string, options: JournalOptions = {}): Promise<Journal> {
  const { now = () => new Date(), compactAboveBytes = 8 * 1024 * 1024 } = options;
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return Buffer.alloc(0);
    throw new HomewardError('permission', `The journal ${file} cannot be read: ${cause.message}`, {
      hint: 'Make it yours and readable.',
      cause,
    });
  });
  const text = readLines(bytes);
  const memory = new JournalMemory();
  for (const entry of text.entries) memory.take(entry);
  if (text.damagedLines > 0) {
    const aside = await asideName(file, now());
    await writeFile(aside, bytes, { mode: 0o600, flag: 'wx' }).catch((cause) => {
      throw writeError(aside, cause);
    });
    await replaceFile(file, text.entries.map(lineOf).join(''));
  }
  const findings = await damageFindings(
    file,
    'The journal was damaged',
    'Some entries could not be read and were left out; the others hold.',
  );
  const droppedBytes = text.damagedLines > 0 ? 0 : text.tornBytes;
  const journal = new JournalFile(file, memory, findings, droppedBytes, now, compactAboveBytes);
  await journal.open();
  return journal;
}

class JournalFile implements Journal {
  readonly findings: readonly Finding[];
  readonly droppedBytes: number;
  readonly #file: string;
  readonly #memory: JournalMemory;
  readonly #now: () => Date;
  readonly #compactAboveBytes: number;
  #handle: FileHandle | undefined;
  /** Length of the whole entries. */
  #sizeBytes = 0;
  #compactAtBytes = Number.POSITIVE_INFINITY;
  /** Half an entry may follow the whole ones. */
  #torn = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    file: string,
    memory: JournalMemory,
    findings: readonly Finding[],
    droppedBytes: number,
    now: () => Date,
    compactAboveBytes: number,
  ) {
    this.droppedBytes = droppedBytes;
    this.#file = file;
    this.#memory = memory;
    this.findings = findings;
    this.#now = now;
    this.#compactAboveBytes = compactAboveBytes;
  }

  async open(): Promise<void> {
    try {
      const handle = await open(this.#file, 'a', 0o600);
      this.#handle = handle;
      this.#sizeBytes = (await handle.stat()).size - this.droppedBytes;
      if (this.droppedBytes > 0) await handle.truncate(this.#sizeBytes);
      await handle.chmod(0o600);
      await handle.sync();
      await syncFolder(dirname(this.#file));
    } catch (cause) {
      await this.close();
      throw writeError(this.#file, cause);
    }
    this.#compactAtBytes = this.#compactAboveBytes;
    if (this.#sizeBytes > this.#compactAtBytes) await this.#tryCompact();
  }

  append(entry: NewEntry): Promise<void> {
    const mine = this.#last.then(() => this.#appendNow(entry));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async #appendNow(entry: NewEntry): Promise<void> {
    if ('data' in entry && Buffer.byteLength(JSON.stringify(entry.data ?? null)) > maxDataBytes) {
      throw new HomewardError('bad-input', `A journal entry may carry ${maxDataBytes} bytes of data at most.`);
    }
    // Parsed before it is written, since what does not parse would count as damage when read.
    const stamped = JournalEntry.parse({ seq: this.#memory.lastSeq + 1, at: this.#now().toISOString(), ...entry });
    const handle = this.#handle;
    if (handle === undefined) throw new HomewardError('internal', 'The journal is closed.');
    const line = Buffer.from(lineOf(stamped));
    try {
      // Half a line must not stay: the next entry would be glued to it and both be lost.
      if (this.#torn) await handle.truncate(this.#sizeBytes);
      this.#torn = true;
      await handle.appendFile(line);
      await handle.datasync();
      this.#torn = false;
    } catch (cause) {
      throw writeError(this.#file, cause);
    }
    this.#sizeBytes += line.length;
    this.#memory.take(stamped);
    if (this.#sizeBytes > this.#compactAtBytes) await this.#tryCompact();
  }

  /** A full disk is no reason to lose what is written already: the large file serves as well, and is tried later. */
  async #tryCompact(): Promise<void> {
    await this.#compact().catch(() => undefined);
    // Where what recovery needs is itself large, the file may grow to twice that, or every entry would rewrite it.
    this.#compactAtBytes = Math.max(this.#compactAboveBytes, 2 * this.#sizeBytes);
  }

  async #compact(): Promise<void> {
    const text = this.#memory
      .compact(this.#compactAboveBytes / 4)
      .map(lineOf)
      .join('');
    await replaceFile(this.#file, text);
    // What is appended from here on must go to the new file: without it nothing may be appended at all.
    const old = this.#handle;
    this.#handle = undefined;
    await old?.close();
    this.#handle = await open(this.#file, 'a', 0o600);
    this.#sizeBytes = Buffer.byteLength(text);
  }

  moves(): readonly MoveRecord[] {
    return this.#memory.moves();
  }

  openMoves(): readonly MoveRecord[] {
    // A VM makes one move at a time: one that began later shows that those before are over, should a full disk have kept that from
    // being written.
    const latest = new Map(this.#memory.moves().map((record) => [record.move.vm, record]));
    return [...latest.values()].filter(({ move }) => !hasEnded(move));
  }

  move(id: string): MoveRecord | undefined {
    return this.#memory.move(id);
  }

  place(vm: VmUuid): PlaceRecord | undefined {
    return this.#memory.place(vm);
  }

  places(): readonly PlaceRecord[] {
    return this.#memory.places();
  }

  wish(vm: VmUuid): HomeWish | undefined {
    return this.#memory.wish(vm);
  }

  history(limit: number): LogEntry[] {
    return this.#memory.history(limit);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle?.close();
    this.#handle = undefined;
  }
}
