import type { Duplex } from 'node:stream';
import fc from 'fast-check';

/** What surprises parsers: wrong types, edges of numbers, names every object has, depth. */
const surprises: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  2 ** 53,
  1e308,
  '',
  '\u0000',
  '\ud800',
  '../../etc/passwd',
  'x'.repeat(3_000),
  [],
  {},
  [[[[[[[[[[]]]]]]]]]],
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":null}}'),
];

/** Inputs that have nothing to do with what is expected. */
export function randomInputs(count: number, seed: number): Buffer[] {
  const bytes = fc.uint8Array({ maxLength: 600 });
  const json = fc.json({ maxDepth: 4 });
  const either = fc.oneof(bytes, json, fc.string({ unit: 'binary', maxLength: 200 }));
  return fc.sample(either, { numRuns: count, seed }).map((input) => Buffer.from(input));
}

/** `valid` inputs with some bytes flipped, cut, repeated or put in, or, where they are JSON, with one value changed. */
export function mutatedInputs(valid: readonly Buffer[], count: number, seed: number): Buffer[] {
  const place = fc.nat({ max: 0xffff });
  const change = fc.record({
    kind: fc.constantFrom('flip', 'cut', 'repeat', 'insert'),
    at: place,
    length: fc.nat({ max: 40 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  });
  const mutation = fc.record({
    base: fc.constantFrom(...valid),
    inJson: fc.boolean(),
    place,
    surprise: fc.constantFrom(...surprises),
    changes: fc.array(change, { minLength: 1, maxLength: 4 }),
  });
  return fc.sample(mutation, { numRuns: count, seed }).map(({ base, inJson, place: which, surprise, changes }) => {
    const parsed = inJson ? parse(base) : undefined;
    if (parsed !== undefined) return Buffer.from(JSON.stringify(withSurprise(parsed, which, surprise)));
    let bytes: Buffer = Buffer.from(base);
    for (const { kind, at, length, bytes: extra } of changes) {
      const from = bytes.length === 0 ? 0 : at % bytes.length;
      const [before, after] = [bytes.subarray(0, from), bytes.subarray(from)];
      if (kind === 'flip') {
        bytes = Buffer.from(bytes);
        if (bytes.length > 0) bytes[from] = (bytes[from] ?? 0) ^ (1 << (length % 8));
      } else if (kind === 'cut') bytes = Buffer.concat([before, after.subarray(length)]);
      else if (kind === 'repeat') bytes = Buffer.concat([before, after.subarray(0, length), after]);
      else bytes = Buffer.concat([before, extra, after]);
    }
    return bytes;
  });
}

/**
 * Sends `inputs` as lines, `perConnection` on each of a few connections at a time, and waits until each is closed
 * by the other end after we have said our last. Throws when one is not closed within `deadlineMs`.
 */
export async function sendLines(
  connect: () => Promise<Duplex>,
  inputs: readonly Buffer[],
  { perConnection = 50, atOnce = 4, deadlineMs = 10_000 } = {},
): Promise<void> {
  const newline = Buffer.from('\n');
  const batches = Array.from({ length: Math.ceil(inputs.length / perConnection) }, (_, n) =>
    Buffer.concat(inputs.slice(n * perConnection, (n + 1) * perConnection).flatMap((input) => [input, newline])),
  );
  await eachOf(batches, atOnce, async (batch) => {
    const connection = await connect();
    await closing(connection, deadlineMs, () => connection.end(batch));
  });
}

/** Reads what comes until `connection` is closed. */
export async function closing(connection: Duplex, deadlineMs: number, begin: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(() => {
      connection.destroy();
      reject(new Error(`the connection was still open after ${deadlineMs} ms`));
    }, deadlineMs);
    connection.on('error', () => undefined);
    connection.once('close', () => {
      clearTimeout(deadline);
      resolve();
    });
    connection.resume();
    begin();
  });
}

/** Runs `task` for each item, `atOnce` at a time. */
export async function eachOf<T>(items: readonly T[], atOnce: number, task: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of queue) await task(item);
    }),
  );
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** `value` with the `which`th of its parts (counted round) replaced. */
function withSurprise(value: unknown, which: number, surprise: unknown): unknown {
  const copy: unknown = structuredClone(value);
  const places: [Record<string, unknown>, string][] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    const holder = part as Record<string, unknown>;
    for (const key of Object.keys(holder)) {
      places.push([holder, key]);
      visit(holder[key]);
    }
  };
  visit(copy);
  const [holder, key] = places[which % Math.max(places.length, 1)] ?? [];
  if (holder === undefined || key === undefined) return surprise;
  holder[key] = surprise;
  return copy;
}
