/**
 * What this workstation remembers of its visitors beyond their sandboxes, which a crash or a reboot takes along: so it can
 * say truthfully afterwards that a visit is over and why.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { Fingerprint } from '../../shared/model/identifiers.ts';
import { VisitEnd, type VisitEndReason } from '../../shared/model/visit-end.ts';
import { VisitInfo } from '../../shared/wire.ts';
import { isCode, replacePrivateFile } from '../process/index.ts';

const Page = z.object({
  peer: Fingerprint,
  info: VisitInfo.pick({ visit: true, vm: true, vmName: true, since: true, memoryBytes: true, vcpus: true }),
  bootId: z.uuid(),
  /** When its laptop was last connected: milliseconds since that boot, sleep included. */
  heardAtMs: z.number().min(0),
  end: VisitEnd.optional(),
  /** Its laptop knows that it is over. */
  told: z.literal(true).optional(),
});
type Page = z.infer<typeof Page>;

const Book = z.object({ visits: z.array(Page) });

export interface VisitBookOptions {
  readonly file: string;
  readonly bootId: string;
  readonly clock: { now(): number; sinceBootMs(): number };
  readonly onFault: (error: unknown) => void;
}

/** Heard and written down again at most this often: a lease is counted in hours. */
const heardEveryMs = 60_000;
const pastMs = 24 * 3_600_000;
/** A laptop that stays away longer finds its visit forgotten, which it can deal with as well. */
const untoldMs = 90 * 24 * 3_600_000;
const maxPages = 200;

export class VisitBook {
  readonly #options: VisitBookOptions;
  #pages = new Map<string, Page>();
  #writing: Promise<void> = Promise.resolve();
  #heardWrittenAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: VisitBookOptions) {
    this.#options = options;
  }

  /** A book that cannot be read is begun anew, and that is told. */
  static async open(options: VisitBookOptions): Promise<VisitBook> {
    const book = new VisitBook(options);
    try {
      const { visits } = Book.parse(JSON.parse(await readFile(options.file, 'utf8')));
      book.#pages = new Map(visits.map((page) => [page.info.visit, page]));
    } catch (cause) {
      if (!isCode(cause, 'ENOENT')) {
        const message = `What was written down of earlier visitors, ${options.file}, cannot be read and is begun anew.`;
        options.onFault(new HomewardError('damaged-file', message, { cause }));
      }
    }
    return book;
  }

  /** Visits that count as there. */
  open(): string[] {
    return [...this.#pages.values()].flatMap(({ info, end }) => (end === undefined ? [info.visit] : []));
  }

  endOf(visit: string): VisitEnd | undefined {
    return this.#pages.get(visit)?.end;
  }

  /** A VM lives in it from now on. */
  arrived({ visit, vm, vmName, since, memoryBytes, vcpus }: VisitInfo, peer: string): void {
    if (this.#pages.has(visit)) return;
    const { bootId, clock } = this.#options;
    const info = { visit, vm, vmName, since, memoryBytes, vcpus };
    this.#put({ peer, info, bootId, heardAtMs: clock.sinceBootMs() });
  }

  /** Its laptop is connected. */
  heard(visits: readonly string[]): void {
    const { bootId, clock } = this.#options;
    const heardAtMs = clock.sinceBootMs();
    for (const visit of visits) {
      const page = this.#pages.get(visit);
      if (page !== undefined) this.#pages.set(visit, { ...page, bootId, heardAtMs });
    }
    if (visits.length === 0 || heardAtMs - this.#heardWrittenAtMs < heardEveryMs) return;
    this.#heardWrittenAtMs = heardAtMs;
    this.#write();
  }

  /** On the clock that counts from this boot; undefined for a visit that is not written down. */
  heardAtMs(visit: string): number | undefined {
    const page = this.#pages.get(visit);
    if (page === undefined) return undefined;
    return page.bootId === this.#options.bootId ? page.heardAtMs : 0;
  }

  /** Over; the first reason holds. Returns what is new. */
  ended(visit: string, why: VisitEndReason): VisitInfo | undefined {
    const page = this.#pages.get(visit);
    if (page === undefined || page.end !== undefined) return undefined;
    const over = { ...page, end: { why, at: new Date(this.#options.clock.now()).toISOString() } };
    this.#put(over);
    return goneInfo(over);
  }

  /** Over while no engine looked: with this machine, or by itself. */
  foundEnded(visit: string): VisitInfo | undefined {
    const isOfThisBoot = this.#pages.get(visit)?.bootId === this.#options.bootId;
    return this.ended(visit, isOfThisBoot ? 'died' : 'host-restarted');
  }

  /** Its VM left: no end to speak of, and its laptop may not be able to say so for a while. An end that was decided on stays. */
  movedOn(visit: string): void {
    const page = this.#pages.get(visit);
    if (page === undefined || page.end !== undefined) return;
    this.#pages.delete(visit);
    this.#write();
  }

  /** The laptop says that it is over. Coming home is no end to speak of. */
  settled(visit: string, why: VisitEndReason | undefined): VisitInfo | undefined {
    const news = why === undefined ? undefined : this.ended(visit, why);
    const page = this.#pages.get(visit);
    if (page?.end === undefined) this.#pages.delete(visit);
    else this.#pages.set(visit, { ...page, told: true });
    if (page !== undefined) this.#write();
    return news;
  }

  /** Visits of that laptop that are over, as long as it does not know. */
  untold(peer: string): VisitInfo[] {
    return [...this.#pages.values()].filter((page) => page.peer === peer && page.told === undefined).flatMap(gone);
  }

  /** For the owner: what ended in the last day, newest first. */
  past(): VisitInfo[] {
    const since = this.#options.clock.now() - pastMs;
    return [...this.#pages.values()]
      .flatMap(gone)
      .filter(({ end }) => Date.parse(end?.at ?? '') > since)
      .sort((a, b) => Date.parse(b.end?.at ?? '') - Date.parse(a.end?.at ?? ''));
  }

  /** Resolves once everything so far is on the disk, or has failed to get there. */
  async written(): Promise<void> {
    await this.#writing;
  }

  #put(page: Page): void {
    this.#pages.set(page.info.visit, page);
    this.#write();
  }

  #write(): void {
    this.#forgetOld();
    const text = JSON.stringify({ visits: [...this.#pages.values()] });
    this.#writing = this.#writing.then(() =>
      replacePrivateFile(this.#options.file, text).catch((error: unknown) => this.#options.onFault(error)),
    );
  }

  #forgetOld(): void {
    const now = this.#options.clock.now();
    for (const [visit, { end, told }] of this.#pages) {
      if (end === undefined) continue;
      const ageMs = now - Date.parse(end.at);
      if (ageMs > (told === true ? pastMs : untoldMs) || this.#pages.size > maxPages) this.#pages.delete(visit);
    }
  }
}

function gone(page: Page): VisitInfo[] {
  return page.end === undefined ? [] : [goneInfo(page)];
}

function goneInfo({ info, end }: Page): VisitInfo {
  return { ...info, state: 'gone', ...(end === undefined ? {} : { end }) };
}
