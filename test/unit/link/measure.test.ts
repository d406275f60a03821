import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { measureLink } from '../../../main/link/index.ts';

/** Takes whatever is written and says nothing, as a socket whose other machine has stopped. */
function silent(): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
}

it.each(['out', 'home'] as const)(
  'a link that is cut while it is measured %s ends the measurement',
  async (direction) => {
    const stream = silent();
    const measuring = measureLink({ openStream: async () => stream }, direction, 1024);
    setTimeout(() => stream.destroy(), 20);
    await expect(measuring).rejects.toMatchObject({ code: 'host-unreachable' });
  },
);
