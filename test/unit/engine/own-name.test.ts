import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ownName } from '../../../main/engine/own-name.ts';
import { tempFolder } from './temp-folder.ts';

const never = (): Promise<never> => new Promise(() => undefined);
const fails = (): Promise<never> => Promise.reject(new Error('ENOTFOUND'));

async function known(hosts: string, resolve: () => Promise<unknown>): Promise<boolean> {
  const hostsFile = `${await tempFolder()}/hosts`;
  await writeFile(hostsFile, hosts);
  return (await ownName({ name: 'lap', resolve, hostsFile, deadlineMs: 20 })).known;
}

describe('whether this computer knows its own name', () => {
  it('yes where the resolver knows it, or /etc/hosts says it', async () => {
    expect(await known('', () => Promise.resolve({ address: '192.0.2.1' }))).toBe(true);
    expect(await known('127.0.1.1\tlap.example lap # me\n', fails)).toBe(true);
  });

  it('no where neither does, where the resolver hangs, or where the name stands in a comment', async () => {
    expect(await known('127.0.0.1 localhost\n', fails)).toBe(false);
    expect(await known('127.0.0.1 localhost\n', never)).toBe(false);
    expect(await known('127.0.0.1 localhost # lap\n', fails)).toBe(false);
    expect(await known('127.0.0.1 laptop\n', fails)).toBe(false);
  });

  it('no where there is no /etc/hosts', async () => {
    expect((await ownName({ name: 'lap', resolve: fails, hostsFile: '/nowhere', deadlineMs: 20 })).known).toBe(false);
  });
});
