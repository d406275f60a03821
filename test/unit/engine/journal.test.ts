import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Journal, type NewEntry, openJournal } from '../../../main/engine/journal.ts';
import { readLines } from '../../../main/engine/journal-lines.ts';
import { decision, hostFingerprint, move, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const journalModule = fileURLToPath(new URL('../../../main/engine/journal.ts', import.meta.url));

const away: NewEntry = {
  kind: 'place',
  vm: vmUuid,
  place: {
    kind: 'away',
    host: hostFingerprint,
    hostName: 'tower',
    visit: '1'.repeat(32),
    since: '2026-11-20T10:00:00.000Z',
  },
  data: { xml: '<domain/>' },
};

const otherUuid = '0'.repeat(8) + vmUuid.slice(8);

async function journalWith(file: string, entries: readonly NewEntry[]): Promise<Journal> {
  const journal = await openJournal(file);
  for (const entry of entries) await journal.append(entry);
  return journal;
}

test('after a restart each move and each VM is known as last written, with its data', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const other = 'f'.repeat(32);
  const before = await journalWith(file, [
    { kind: 'move', move: move(), data: { xml: '<domain>ü</domain>', n: 1 } },
    { kind: 'move', move: move({ phase: 'copying' }) },
    { kind: 'move', move: move({ id: other, vm: otherUuid, phase: 'done', direction: 'home' }), data: null },
    away,
    { kind: 'event', text: 'engine stopped' },
  ]);
  await before.close();
  const journal = await openJournal(file);
  expect(journal.openMoves()).toEqual([
    { move: move({ phase: 'copying' }), data: { xml: '<domain>ü</domain>', n: 1 } },
  ]);
  expect(journal.move(other)).toEqual({
    move: move({ id: other, vm: otherUuid, phase: 'done', direction: 'home' }),
    data: undefined,
  });
  expect(journal.place(vmUuid)).toMatchObject({ place: { kind: 'away' }, data: { xml: '<domain/>' } });
  expect(journal.place('00000000-0000-0000-0000-000000000000')).toBeUndefined();
  expect(journal.findings).toEqual([]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await journal.close();
});

test('the log is newest first, each move once in its latest state', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await journalWith(file, [
    { kind: 'event', text: 'first' },
    { kind: 'move', move: move() },
    { kind: 'decision', decision: decision() },
    { kind: 'move', move: move({ phase: 'done' }) },
    { kind: 'event', text: 'last' },
    away,
  ]);
  expect(journal.history(10).map((entry) => (entry.kind === 'move' ? entry.move.phase : entry.kind))).toEqual([
    'event',
    'done',
    'decision',
    'event',
  ]);
  expect(journal.history(1)).toMatchObject([{ text: 'last' }]);
  await journal.close();
});

test('entries asked for at the same time are written one after another', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file);
  await Promise.all(Array.from({ length: 50 }, (_, index) => journal.append({ kind: 'event', text: String(index) })));
  await journal.close();
  const { entries } = readLines(await readFile(file));
  expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
});

test('cut at any byte of its last two entries, the journal gives the entries before the cut and goes on', async () => {
  const folder = await tempFolder();
  const file = `${folder}/journal.jsonl`;
  const written: NewEntry[] = [
    { kind: 'event', text: 'one' },
    { kind: 'move', move: move(), data: { xml: 'ä' } },
    { kind: 'move', move: move({ phase: 'copying' }) },
  ];
  await (await journalWith(file, written)).close();
  const whole = await readFile(file);
  const ends = [...whole].flatMap((byte, index) => (byte === 10 ? [index + 1] : []));
  for (let cut = ends[0] ?? 0; cut <= whole.length; cut += 1) {
    await writeFile(file, whole.subarray(0, cut));
    const journal = await openJournal(file);
    const expected = ends.filter((end) => end <= cut).length;
    expect(journal.findings).toEqual([]);
    expect(journal.droppedBytes).toBe(cut - (ends[expected - 1] ?? 0));
    expect(journal.move(move().id)?.move.phase).toBe([undefined, undefined, 'planned', 'copying'][expected]);
    await journal.append({ kind: 'event', text: 'after' });
    await journal.close();
    expect(readLines(await readFile(file))).toMatchObject({ damagedLines: 0, tornBytes: 0 });
    expect(readLines(await readFile(file)).entries).toHaveLength(expected + 1);
  }
});

test('random damage never throws and never invents an entry', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await journalWith(file, [
    { kind: 'event', text: 'one' },
    { kind: 'move', move: move(), data: { xml: '<domain/>' } },
    { kind: 'decision', decision: decision() },
    away,
    { kind: 'move', move: move({ phase: 'done', totalMs: 1234 }) },
  ]);
  await journal.close();
  const whole = await readFile(file);
  const real = new Set(readLines(whole).entries.map((entry) => JSON.stringify(entry)));
  const damage = fc.oneof(
    fc.record({ at: fc.nat(whole.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
    fc.record({ at: fc.nat(whole.length - 1), digit: fc.integer({ min: 48, max: 57 }) }),
    fc.record({ at: fc.nat(whole.length - 1), remove: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ at: fc.nat(whole.length - 1), repeat: fc.integer({ min: 1, max: 2000 }) }),
  );
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      let bytes = Buffer.from(whole);
      for (const one of damages) {
        if (bytes.length === 0) break;
        const at = one.at % bytes.length;
        if ('bytes' in one) bytes.set(one.bytes.subarray(0, bytes.length - at), at);
        else if ('digit' in one) bytes[at] = one.digit;
        else if ('remove' in one) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + one.remove)]);
        else bytes = Buffer.concat([bytes, bytes.subarray(at, at + one.repeat)]);
      }
      const { entries } = readLines(bytes);
      const seqs = entries.map((entry) => entry.seq);
      expect(entries.every((entry) => real.has(JSON.stringify(entry)))).toBe(true);
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    }),
    { numRuns: 3_000 },
  );
});

test('a damaged line in the middle is left out, the file kept aside whole, and doctor can tell', async () => {
  const folder = await tempFolder();
  const file = `${folder}/journal.jsonl`;
  const written = await journalWith(file, [
    { kind: 'event', text: 'one' },
    { kind: 'event', text: 'two' },
    { kind: 'event', text: 'three' },
  ]);
  await written.close();
  const damaged = (await readFile(file, 'utf8')).replace('two', 'tvo');
  await writeFile(file, damaged);
  const journal = await openJournal(file, { now: () => new Date('2026-11-20T10:00:00Z') });
  expect(journal.history(9)).toMatchObject([{ text: 'three' }, { text: 'one' }]);
  const kept = `${file}.damaged-2026-11-20T10-00-00Z`;
  expect(journal.findings).toMatchObject([{ severity: 'problem', detail: expect.stringContaining(kept) }]);
  expect(await readFile(kept, 'utf8')).toBe(damaged);
  await journal.append({ kind: 'event', text: 'four' });
  await journal.close();
  const again = await openJournal(file);
  expect(again.history(9)).toHaveLength(3);
  expect(again.findings).toHaveLength(1);
  expect(await readdir(folder)).toHaveLength(2);
  await again.close();
});

test('a large journal is compacted on start and keeps what recovery needs', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const xml = 'x'.repeat(10_000);
  const lost = move({ id: 'e'.repeat(32), vm: otherUuid, phase: 'lost' });
  const written = await journalWith(file, [
    away,
    { kind: 'move', move: move(), data: { xml } },
    { kind: 'move', move: move({ phase: 'copying' }) },
    { kind: 'move', move: { ...lost, phase: 'planned' }, data: { xml } },
    { kind: 'move', move: lost },
    ...Array.from(
      { length: 200 },
      (_, index): NewEntry => ({
        kind: 'move',
        move: move({ id: index.toString(16).padStart(32, 'a'), vm: otherUuid, phase: 'done' }),
        data: { xml },
      }),
    ),
    ...Array.from({ length: 100 }, (_, index): NewEntry => ({ kind: 'event', text: `event ${index}` })),
  ]);
  await written.close();
  const sizeBefore = (await stat(file)).size;
  const journal = await openJournal(file, { compactAboveBytes: 100_000 });
  const check = (opened: Journal) => {
    expect(opened.openMoves()).toEqual([{ move: move({ phase: 'copying' }), data: { xml } }]);
    expect(opened.move(lost.id)).toEqual({ move: lost, data: { xml } });
    expect(opened.place(vmUuid)?.data).toEqual({ xml: '<domain/>' });
    expect(opened.history(1)).toMatchObject([{ text: 'event 99' }]);
  };
  check(journal);
  expect((await stat(file)).size).toBeLessThan(60_000);
  expect(sizeBefore).toBeGreaterThan(2_000_000);
  await journal.append({ kind: 'event', text: 'event 99' });
  await journal.close();
  const again = await openJournal(file, { compactAboveBytes: 100_000 });
  check(again);
  await again.close();
});

test('a move whose end could not be written is over once the VM has begun another', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const next = move({ id: 'e'.repeat(32), phase: 'copying' });
  const journal = await journalWith(file, [
    { kind: 'move', move: move({ phase: 'copying' }), data: { n: 1 } },
    { kind: 'move', move: next, data: { n: 2 } },
  ]);
  expect(journal.openMoves()).toEqual([{ move: next, data: { n: 2 } }]);
  await journal.append({ kind: 'move', move: { ...next, phase: 'done' }, data: null });
  expect(journal.openMoves()).toEqual([]);
  await journal.close();
});

test('a journal that grows while the engine runs is compacted too, also when what is needed is itself large', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file, { compactAboveBytes: 20_000 });
  await journal.append({ kind: 'move', move: move(), data: { xml: 'x'.repeat(50_000) } });
  for (let index = 0; index < 1_000; index += 1) await journal.append({ kind: 'event', text: 'e'.repeat(100) });
  expect((await stat(file)).size).toBeLessThan(130_000);
  expect(journal.openMoves()).toHaveLength(1);
  await journal.close();
  const again = await openJournal(file);
  expect(again.openMoves()[0]?.data).toEqual({ xml: 'x'.repeat(50_000) });
  await again.close();
});

test('the log fits one line of the local socket', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file);
  await Promise.all(Array.from({ length: 300 }, () => journal.append({ kind: 'event', text: 'e'.repeat(9_000) })));
  const log = journal.history(10_000);
  expect(log.length).toBeGreaterThan(50);
  expect(JSON.stringify(log).length).toBeLessThan(1024 * 1024);
  await journal.close();
});

test('too much data is refused and nothing is written', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file);
  const entry: NewEntry = { kind: 'move', move: move(), data: { xml: 'x'.repeat(1024 * 1024 + 1) } };
  await expect(journal.append(entry)).rejects.toMatchObject({ code: 'bad-input' });
  expect((await stat(file)).size).toBe(0);
  await journal.close();
});

test('an entry that is not one is refused before it could damage the file', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file);
  await expect(journal.append({ kind: 'move', move: move({ id: 'no' }) })).rejects.toThrow();
  await journal.append({ kind: 'event', text: 'fine' });
  expect(journal.history(9)).toHaveLength(1);
  await journal.close();
});

test('on a full disk an entry is refused in a sentence, nothing of it stays, and later ones count again', async () => {
  const folder = await tempFolder();
  const script = `
    const { openJournal } = await import(${JSON.stringify(journalModule)});
    const { rmSync, writeFileSync } = await import('node:fs');
    const journal = await openJournal('journal.jsonl');
    await journal.append({ kind: 'event', text: 'one' });
    try { writeFileSync('filler', Buffer.alloc(1 << 20)); } catch {}
    for (let n = 0; n < 3; n += 1) {
      await journal.append({ kind: 'event', text: 'x'.repeat(9000) }).catch((error) => console.log(error.code));
    }
    rmSync('filler');
    await journal.append({ kind: 'event', text: 'two' });
    await journal.close();
    const again = await openJournal('journal.jsonl');
    console.log(JSON.stringify(again.history(9).map((entry) => entry.text)), again.findings.length);`;
  // A small file system of our own, which an ordinary user may have inside a user namespace (user_namespaces(7)).
  const mount = `mount -t tmpfs -o size=64k none '${folder}' && cd '${folder}' && exec "$@"`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)('unshare', ['-Urm', 'sh', '-c', mount, 'sh', ...node]);
  expect(stdout).toBe('disk-full\ndisk-full\ndisk-full\n["two","one"] 0\n');
});
