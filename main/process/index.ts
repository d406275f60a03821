/** Processes: those that outlive the engine (start, record, recognise again, stop), and what keeps one apart from others. */
export { type FileLock, takeLock } from './lock.ts';
export { peerUid } from './peer-uid.ts';
export { createPrivateFile, isCode, replacePrivateFile } from './private-file.ts';
export { checkSocketPath, makePrivate, makePrivateInShared } from './private-folder.ts';
export { bootId, ChildRecord, forgetRecord, isAlive, readRecord } from './record.ts';
export type { ServedVm } from './served-vm.ts';
export { endsWithin, findCommand, spawnDetached, stop } from './spawn.ts';
