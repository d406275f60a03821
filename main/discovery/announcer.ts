import { serviceOf } from './advert.ts';
import { addressesNow, openSpeaker, type Speaker, usableAddresses } from './interfaces.ts';

export interface Announcement {
  readonly fingerprint: string;
  readonly name: string;
  readonly port: number;
}

const lookEveryMs = 3_000;
const goodbyeDeadlineMs = 1_000;

/** Tells every network this machine is on that it takes visitors, as `_homeward._tcp`. */
export class Announcer {
  readonly #onFault: (thrown: unknown) => void;
  #announcement: Announcement | undefined;
  #speakers: Speaker[] = [];
  #addresses = '';
  #failed = false;
  #look: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** `onFault` hears what went wrong and is being tried again: for the log. */
  constructor(options: { readonly onFault: (thrown: unknown) => void }) {
    this.#onFault = options.onFault;
  }

  /** Announces, in place of what was announced before. A network that is not there yet is no error. */
  async start(announcement: Announcement): Promise<void> {
    this.#announcement = announcement;
    clearInterval(this.#look);
    this.#look = setInterval(() => this.#lookAround(), lookEveryMs);
    await this.#republish();
  }

  /** Says goodbye and falls silent. */
  async stop(): Promise<void> {
    this.#announcement = undefined;
    clearInterval(this.#look);
    await this.#inTurn(async () => {
      await Promise.all(this.#speakers.map(sayGoodbye));
      await this.#silence();
    });
  }

  #lookAround(): void {
    if (addressesNow() !== this.#addresses || this.#failed) void this.#republish();
  }

  /** No goodbye before: what is announced anew replaces what was, and nobody sees the host go. */
  #republish(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#silence();
      this.#addresses = addressesNow();
      this.#failed = false;
      for (const address of usableAddresses()) {
        if (!this.#announcement) return;
        try {
          const speaker = await openSpeaker(address, this.#onFault);
          this.#speakers.push(speaker);
          speaker.bonjour.publish(serviceOf(this.#announcement));
        } catch (error) {
          this.#failed = true;
          this.#onFault(error);
        }
      }
    });
  }

  async #silence(): Promise<void> {
    const speakers = this.#speakers;
    this.#speakers = [];
    await Promise.all(speakers.map((speaker) => speaker.close()));
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(task);
    return this.#turn;
  }
}

async function sayGoodbye({ bonjour }: Speaker): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const sent = new Promise<void>((resolve) => bonjour.unpublishAll(() => resolve()));
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, goodbyeDeadlineMs);
  });
  await Promise.race([sent, late]);
  clearTimeout(timer);
}
