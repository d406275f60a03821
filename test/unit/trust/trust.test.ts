import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadIdentity, makeIdentity, PeerStore } from '../../../main/trust/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the identity', () => {
  it('is made once, for this user only, and found again', async () => {
    const made = await loadIdentity(join(folder, 'new'));
    expect(made.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(await loadIdentity(join(folder, 'new'))).toEqual(made);
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'new', 'identity.pem'))).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'new'))).toEqual(['identity.pem']);
  });

  it('is the same for all who make it at once', async () => {
    const identities = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(folder)));
    expect(new Set(identities.map(({ fingerprint }) => fingerprint)).size).toBe(1);
  });

  it('is refused, and left alone, when its file is damaged', async () => {
    await loadIdentity(folder);
    const path = join(folder, 'identity.pem');
    const whole = await readFile(path, 'utf8');
    const other = await makeIdentity();
    for (const damaged of ['', whole.slice(0, 300), whole.replace(/[A-Z]/, '!'), other.keyPem + whole.slice(241)]) {
      await writeFile(path, damaged);
      await expect(loadIdentity(folder)).rejects.toMatchObject({
        code: 'damaged-file',
        message: expect.stringContaining(path),
        hint: expect.stringContaining('paired again'),
      });
      expect(await readFile(path, 'utf8')).toBe(damaged);
    }
  });
});

describe('the list of peers', () => {
  const path = () => join(folder, 'peers.json');
  const peer = (digit: string, role: 'host' | 'laptop' = 'laptop') => ({
    fingerprint: digit.repeat(64),
    name: `machine ${digit}`,
    pairedAt: '2026-01-01T00:00:00.000Z',
    role,
  });

  it('keeps what was added, for this user only', async () => {
    const store = await PeerStore.open(path());
    await store.add(peer('a'));
    await store.add(peer('a', 'host'));
    await store.rename('a'.repeat(64), 'desk');
    const again = await PeerStore.open(path());
    expect(again.list().map(({ name, role }) => [name, role])).toEqual([
      ['desk', 'laptop'],
      ['desk', 'host'],
    ]);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
  });

  it('loses none of many changes at once', async () => {
    const store = await PeerStore.open(path());
    await Promise.all([...'0123456789abcdef'].map((digit) => store.add(peer(digit))));
    expect((await PeerStore.open(path())).list()).toHaveLength(16);
  });

  it('tells who listens of a revocation, once it is on disk', async () => {
    const store = await PeerStore.open(path());
    await store.add(peer('a'));
    const revoked: string[] = [];
    store.onRevoked((fingerprint) => revoked.push(fingerprint));
    await store.revoke('a'.repeat(64));
    expect(revoked).toEqual(['a'.repeat(64)]);
    expect((await PeerStore.open(path())).list()).toEqual([]);
  });

  it('trusts nobody in a role they were not paired for', async () => {
    const store = await PeerStore.open(path());
    await store.add(peer('a', 'host'));
    expect(store.get('a'.repeat(64), 'host')).toBeDefined();
    expect(store.get('a'.repeat(64), 'laptop')).toBeUndefined();
  });

  it('refuses unknown machines and impossible names', async () => {
    const store = await PeerStore.open(path());
    await expect(store.revoke('b'.repeat(64))).rejects.toMatchObject({ code: 'not-paired' });
    await store.add(peer('a'));
    await expect(store.rename('a'.repeat(64), 'x\n')).rejects.toMatchObject({ code: 'bad-input' });
    await expect(store.add({ ...peer('c'), name: '\u001b[31m' })).rejects.toThrow();
    expect(store.list()).toHaveLength(1);
  });

  it.each(['', '{', '[]', '{"version":2,"peers":[]}', '{"version":1,"peers":[{"fingerprint":"a"}]}'])(
    'is refused when its file holds %j',
    async (text) => {
      await writeFile(path(), text);
      await expect(PeerStore.open(path())).rejects.toMatchObject({ code: 'damaged-file' });
      expect(await readFile(path(), 'utf8')).toBe(text);
    },
  );
});
