/** An engine that prepares a migration and is gone before it asks for the call: `node prepared-migration.ts FOLDER NAME`. */
import { MigrationProcess } from '../../../main/migrate/migration-process.ts';

const [, , folder = '', name = ''] = process.argv;
await MigrationProcess.start(folder, name, { qemu: 'connects', migrationSocket: `${folder}/migration.sock` });
process.exit(0);
