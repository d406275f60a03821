import { randomBytes, timingSafeEqual } from 'node:crypto';

/** A token that nobody used within this time opens nothing any more. */
const tokenLifeMs = 60_000;
/** Windows opened in the life of one shell; the oldest is closed out. */
const maxSessions = 64;

/**
 * Who may come in. A token is good once and for a minute, and is given for a session, which a browser keeps as a
 * cookie that no script can read. Both are 256 random bits and are kept nowhere but here.
 */
export class Door {
  readonly #nowMs: () => number;
  readonly #tokens = new Map<string, number>();
  readonly #sessions = new Set<string>();

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  newToken(): string {
    const token = secret();
    this.#forgetOld();
    this.#tokens.set(token, this.#nowMs() + tokenLifeMs);
    return token;
  }

  /** The session for a token, which is used up; undefined where it is not good. */
  exchange(token: string): string | undefined {
    this.#forgetOld();
    const known = found(this.#tokens.keys(), token);
    if (known === undefined) return undefined;
    this.#tokens.delete(known);
    const [oldest] = this.#sessions;
    if (this.#sessions.size >= maxSessions && oldest !== undefined) this.#sessions.delete(oldest);
    const session = secret();
    this.#sessions.add(session);
    return session;
  }

  isSession(session: string): boolean {
    return found(this.#sessions, session) !== undefined;
  }

  #forgetOld(): void {
    for (const [token, untilMs] of this.#tokens) {
      if (untilMs <= this.#nowMs()) this.#tokens.delete(token);
    }
  }
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

/** Compares all of them in a time that tells nothing. */
function found(known: Iterable<string>, given: string): string | undefined {
  const wanted = Buffer.from(given);
  let match: string | undefined;
  for (const candidate of known) {
    const bytes = Buffer.from(candidate);
    if (bytes.length === wanted.length && timingSafeEqual(bytes, wanted)) match = candidate;
  }
  return match;
}
