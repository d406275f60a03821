/**
 * An engine that prepares a migration and is gone before it asks for the call: `node prepared-migration.ts FOLDER NAME`; with
 * `early` after them, gone before the process has begun to listen.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MigrationProcess } from '../../../main/migrate/migration-process.ts';

const [, , folder = '', name = '', when] = process.argv;
const started = MigrationProcess.start(folder, name, {
  qemu: 'connects',
  migrationSocket: `${folder}/migration.sock`,
});
if (when === 'early') while (!existsSync(`${folder}/${name}.json`)) await sleep(1);
else await started;
process.exit(0);
