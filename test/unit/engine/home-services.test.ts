import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { HomeServices } from '../../../main/engine/home-services.ts';
import { vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

it('nobody may write the disk of a VM that no daemon serves, or none since the last boot; none is started to ask', async () => {
  const runtimeFolder = await tempFolder();
  const services = new HomeServices({
    runtimeFolder,
    writersOf: async () => ['home'],
    qemuUid: async () => undefined,
    onFault: (what) => expect.fail(what),
  });
  expect(await services.writers(vmUuid)).toEqual([]);
  expect(await readdir(runtimeFolder)).toEqual([]);
  const folder = services.folder(vmUuid);
  await mkdir(folder);
  const daemon = { pid: 2, startTime: 1, bootId: '11111111-2222-4333-8444-555555555555' };
  await writeFile(`${folder}/storage-daemon.json`, JSON.stringify(daemon));
  expect(await services.writers(vmUuid)).toEqual([]);
  await writeFile(`${folder}/storage-daemon.json`, '{');
  await expect(services.writers(vmUuid), 'which may serve it all the same').rejects.toMatchObject({
    code: 'damaged-file',
  });
});
