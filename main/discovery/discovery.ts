import type { Browser } from 'bonjour-service';
import { advertOf, serviceType } from './advert.ts';
import { type FoundHost, HostTable } from './host-table.ts';
import { addressesNow, openSpeaker, type Speaker, usableAddresses } from './interfaces.ts';

export interface DiscoveryOptions {
  /** A host is new, or has another name or other addresses than before. */
  readonly onFound: (host: FoundHost) => void;
  /** It said goodbye, or no question reaches it any more. */
  readonly onGone: (fingerprint: string) => void;
  /** What went wrong and is being tried again: for the log. */
  readonly onFault: (thrown: unknown) => void;
}

/** A question can get lost: ask thrice at first (RFC 6762 §5.2), then at this steady pace. */
const firstPausesMs = [1_000, 2_000];
const requeryEveryMs = 15_000;
const lookEveryMs = 3_000;
/** Four questions unanswered. */
const silenceMs = 4 * requeryEveryMs + 5_000;
/** A host whose network changed goes and comes within a second or two. */
const goodbyeGraceMs = 2_500;

/**
 * Finds workstations on every network this machine is on, by `_homeward._tcp`. mDNS tells that a host
 * exists; only the link's heartbeat tells that it answers.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #table = new HostTable({ silenceMs, goodbyeGraceMs });
  readonly #listeners = new Map<string, { speaker: Speaker; browser: Browser | undefined }>();
  #addresses = '';
  #look: NodeJS.Timeout | undefined;
  #ask: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #running = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Asks on all interfaces and goes on asking. A network that is not there yet is no error. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#look = setInterval(() => this.#lookAround(), lookEveryMs);
    this.#addresses = addressesNow();
    await this.#rebuild();
  }

  async stop(): Promise<void> {
    this.#running = false;
    clearInterval(this.#look);
    clearTimeout(this.#ask);
    await this.#turn;
    await Promise.all([...this.#listeners.keys()].map((address) => this.#close(address)));
  }

  /** Asks now, thrice: after a network change or a wake-up. */
  requery(): void {
    if (!this.#running) return;
    clearTimeout(this.#ask);
    this.#askAfter([0, ...firstPausesMs]);
  }

  #askAfter([pauseMs = requeryEveryMs, ...pauses]: readonly number[]): void {
    this.#ask = setTimeout(() => {
      for (const listener of this.#listeners.values()) this.#question(listener);
      this.#askAfter(pauses);
    }, pauseMs);
  }

  /**
   * A new browser for each question: the library's own tells a host only once, misses most changes and
   * never forgets, so what it remembers from earlier questions is worth nothing.
   */
  #question(listener: { speaker: Speaker; browser: Browser | undefined }): void {
    try {
      listener.browser?.stop();
      const browser = listener.speaker.bonjour.find({ type: serviceType });
      listener.browser = browser;
      browser.on('up', (service) => this.#heard(service));
      browser.on('txt-update', (service) => this.#heard(service));
      browser.on('srv-update', (service) => this.#heard(service));
      browser.on('down', (service) => {
        const fingerprint = advertOf(service)?.fingerprint;
        if (fingerprint !== undefined) this.#table.saidGoodbye(fingerprint, performance.now());
      });
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #heard(service: unknown): void {
    const advert = advertOf(service);
    const news = advert && this.#table.heard(advert, performance.now());
    if (news && this.#running) this.#options.onFound(news);
  }

  #lookAround(): void {
    const { gone, changed } = this.#table.expire(performance.now());
    for (const fingerprint of gone) this.#options.onGone(fingerprint);
    for (const host of changed) this.#options.onFound(host);
    const addresses = addressesNow();
    // A listener that could not be opened is tried again, too.
    if (addresses === this.#addresses && this.#listeners.size === usableAddresses().length) return;
    this.#addresses = addresses;
    void this.#rebuild();
  }

  #rebuild(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      const wanted = usableAddresses();
      for (const address of this.#listeners.keys()) {
        if (!wanted.includes(address)) await this.#close(address);
      }
      for (const address of wanted) {
        if (this.#running && !this.#listeners.has(address)) await this.#open(address);
      }
      this.requery();
    });
    return this.#turn;
  }

  async #open(address: string): Promise<void> {
    try {
      this.#listeners.set(address, { speaker: await openSpeaker(address, this.#options.onFault), browser: undefined });
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  async #close(address: string): Promise<void> {
    const listener = this.#listeners.get(address);
    this.#listeners.delete(address);
    listener?.browser?.stop();
    await listener?.speaker.close();
  }
}
