/** One running migration: its thread blocks in virDomainMigrate3 until the move is over. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ConnectPtr, type DomainPtr, type Out, type Pointer, vir } from './ffi.ts';
import type { FromMigrationWorker, MigrationWorkerData } from './messages.ts';
import { type MigrateParam, migrateFlagBits, migrateParams } from './migrate.ts';
import { checked, lastError, present } from './native.ts';
import { open, reportFailure } from './open.ts';

const { request }: MigrationWorkerData = workerData;
const usualKeepAliveIntervalS = 5;

function send(message: FromMigrationWorker): void {
  parentPort?.postMessage(message);
}

function connect(uri: string, keepAliveIntervalS = usualKeepAliveIntervalS): ConnectPtr {
  return open({ uri, readOnly: false, keepAliveIntervalS }, send);
}

interface NativeParams {
  readonly list: Out<Pointer | null>;
  readonly count: Out<number>;
}

function addParam({ list, count }: NativeParams, max: Out<number>, param: MigrateParam): void {
  const [type, name, value] = param;
  switch (type) {
    case 'string':
      checked('virTypedParamsAddString', vir.paramsAddString(list, count, max, name, value));
      break;
    case 'ulonglong':
      checked('virTypedParamsAddULLong', vir.paramsAddULLong(list, count, max, name, value));
      break;
    case 'int':
      checked('virTypedParamsAddInt', vir.paramsAddInt(list, count, max, name, value));
      break;
  }
}

function withParams<T>(params: readonly MigrateParam[], use: (native: NativeParams) => T): T {
  const native: NativeParams = { list: [null], count: [0] };
  const max: Out<number> = [0];
  try {
    for (const param of params) {
      addParam(native, max, param);
    }
    return use(native);
  } finally {
    if (native.list[0] !== null) {
      vir.paramsFree(native.list[0], native.count[0]);
    }
  }
}

function migrateFrom(domain: DomainPtr): void {
  const flags = migrateFlagBits(request.flags);
  withParams(migrateParams(request), ({ list, count }) => {
    if (request.flags.includes('peer2peer')) {
      const result = vir.migrateToUri3(domain, request.destinationUri, list[0], count[0], flags);
      checked('virDomainMigrateToURI3', result);
      return;
    }
    const destination = connect(request.destinationUri, request.destinationKeepAliveIntervalS);
    try {
      const moved = vir.migrate3(domain, destination, list[0], count[0], flags);
      if (moved === null) {
        throw lastError('virDomainMigrate3');
      }
      vir.domainFree(moved);
    } finally {
      vir.close(destination);
    }
  });
}

function migrate(): void {
  const source = connect(request.sourceUri, request.sourceKeepAliveIntervalS);
  try {
    const domain = present('virDomainLookupByUUIDString', vir.lookupByUuid(source, request.uuid));
    try {
      migrateFrom(domain);
    } finally {
      vir.domainFree(domain);
    }
  } finally {
    vir.close(source);
  }
}

try {
  migrate();
  send({ kind: 'done' });
} catch (error) {
  send({ kind: 'failed', error: reportFailure(error) });
}
