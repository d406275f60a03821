/** Processes that outlive the engine: start, record, recognise again, stop. */
export { ChildRecord, forgetRecord, isAlive, readRecord } from './record.ts';
export type { ServedVm } from './served-vm.ts';
export { endsWithin, findCommand, spawnDetached, stop } from './spawn.ts';
