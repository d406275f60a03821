import { readFile, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createLog } from '../../../main/engine/log.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { tempFolder } from './temp-folder.ts';

function lines(level?: string) {
  const written: string[] = [];
  const log = createLog({ level, stream: { write: (line: string) => void written.push(line) } });
  return { log, written: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('secrets are never written, whatever they hang from', () => {
  const { log, written } = lines();
  log.info(
    { privateKey: 's3cret', peer: { nonce: 's3cret' }, tls: { options: { key: 's3cret' } }, code: '123456' },
    'x',
  );
  expect(JSON.stringify(written())).not.toMatch(/s3cret|123456/);
  expect(written()[0]).toMatchObject({ privateKey: '[secret]', msg: 'x' });
});

test('an error is written with its code, hint and causes', () => {
  const { log, written } = lines();
  log.error({ err: new HomewardError('libvirt', 'no', { hint: 'do', cause: new Error('deep') }) });
  expect(written()[0]).toMatchObject({
    err: { code: 'libvirt', message: 'no', hint: 'do', cause: { message: 'deep' } },
  });
});

test('the level decides what is written, and a wrong one is refused', () => {
  const { log, written } = lines('warn');
  log.info('quiet');
  log.warn('loud');
  expect(written()).toHaveLength(1);
  expect(() => createLog({ level: 'shout' })).toThrow(/HOMEWARD_LOG is "shout"; it can be silent, /);
});

test('a log file is for its owner only and complete at once', async () => {
  const file = `${await tempFolder()}/engine.log`;
  createLog({ file, level: 'info' }).info('hello');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ msg: 'hello' });
});
