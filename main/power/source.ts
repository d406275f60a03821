/** How long a service that is not there is left in peace, unless it shows up; asking may start it in vain. */
const absentEveryMs = 60_000;
/** How long what was read last stands in for what cannot be read: a service that is started anew is no lid that was opened. */
const standsForMs = 30_000;

/** One service's figures: read now and then, at once when nudged, and kept until they are read again. */
export class Source<T> {
  readonly #read: () => Promise<T>;
  readonly #everyMs: number;
  #value: T | undefined;
  /** When the first of the reads began that have failed since the last that did not. */
  #failingSinceMs: number | undefined;
  #nextMs = 0;
  #reading: Promise<void> | undefined;

  constructor(read: () => Promise<T>, everyMs: number) {
    this.#read = read;
    this.#everyMs = everyMs;
  }

  /** Undefined where it could not be read for a while, or not yet. */
  valueAt(nowMs: number): T | undefined {
    const isOld = this.#failingSinceMs !== undefined && nowMs - this.#failingSinceMs > standsForMs;
    return isOld ? undefined : this.#value;
  }

  /** Whether it could not be read the last time. */
  get missing(): boolean {
    return this.#failingSinceMs !== undefined;
  }

  /** It has changed, or has come or gone. */
  nudge(): void {
    this.#nextMs = 0;
  }

  /** Resolves when it has been read, where that is due or under way; another's question is waited for rather than asked again. */
  async refresh(nowMs: number): Promise<void> {
    if (this.#reading === undefined && nowMs >= this.#nextMs) {
      this.#reading = this.#readAt(nowMs).finally(() => {
        this.#reading = undefined;
      });
    }
    await this.#reading;
  }

  async #readAt(nowMs: number): Promise<void> {
    const nextMs = nowMs + this.#everyMs;
    this.#nextMs = nextMs;
    try {
      this.#value = await this.#read();
      this.#failingSinceMs = undefined;
    } catch (thrown) {
      this.#failingSinceMs ??= nowMs;
      // Unless it has shown up while it was being asked. Whoever only did not answer is asked again at the usual pace.
      if (isAbsent(thrown) && this.#nextMs === nextMs) this.#nextMs = nowMs + Math.max(this.#everyMs, absentEveryMs);
    }
  }
}

/** Nobody is there, nor can the bus, or systemd for it, start anybody. */
function isAbsent(thrown: unknown): boolean {
  const name = thrown instanceof Error && 'dbusName' in thrown ? String(thrown.dbusName) : '';
  return (
    /^org\.freedesktop\.DBus\.Error\.(ServiceUnknown|NameHasNoOwner|Spawn\..+)$/.test(name) ||
    name.startsWith('org.freedesktop.systemd1.')
  );
}
