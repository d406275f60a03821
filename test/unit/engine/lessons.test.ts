import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Lessons } from '../../../main/engine/lessons.ts';
import { learnedNever, nothingLearned } from '../../../shared/policy/learned.ts';
import { hostFingerprint, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const never = learnedNever(nothingLearned(), hostFingerprint, true);

async function opened(folder: string) {
  const faults: string[] = [];
  const lessons = await Lessons.open({ file: `${folder}/learned.json`, onFault: (what) => faults.push(what) });
  return { lessons, faults };
}

describe('what was learnt', () => {
  it('is there again after a restart, in a file for its owner alone', async () => {
    const folder = await tempFolder();
    const { lessons } = await opened(folder);
    expect(lessons.of(vmUuid)).toEqual(nothingLearned());
    lessons.put(vmUuid, never);
    await lessons.close();
    expect((await stat(`${folder}/learned.json`)).mode & 0o777).toBe(0o600);
    expect((await opened(folder)).lessons.of(vmUuid)).toEqual(never);
  });

  it('is erased at once when it is to be forgotten', async () => {
    const folder = await tempFolder();
    const { lessons } = await opened(folder);
    lessons.put(vmUuid, never);
    await lessons.forget(vmUuid);
    expect(await readFile(`${folder}/learned.json`, 'utf8')).not.toContain(vmUuid);
    expect(lessons.of(vmUuid)).toEqual(nothingLearned());
    lessons.put(vmUuid, never);
    await lessons.forget();
    expect((await opened(folder)).lessons.of(vmUuid)).toEqual(nothingLearned());
  });

  it('damaged: put aside, told, and learnt anew', async () => {
    const folder = await tempFolder();
    await writeFile(`${folder}/learned.json`, '{"version":1,"vms":{"x":');
    const { lessons, faults } = await opened(folder);
    expect(lessons.of(vmUuid)).toEqual(nothingLearned());
    expect(faults).toEqual(['reading what was learnt']);
    expect(await readdir(folder)).toEqual([expect.stringMatching(/^learned\.json\.damaged-/)]);
  });
});
