export type { LocalVm } from './local-vm.ts';
export { parseMoveData, VisitRecord } from './move-data.ts';
export { MoveEffects, type MoveEffectsOptions } from './move-effects.ts';
export { MoveRun, type MoveSink } from './move-run.ts';
export { needNoneHere } from './none-here.ts';
export { isInPostCopy, see } from './seen.ts';
export { VisitLink } from './visit-link.ts';
export { needWhole } from './whole.ts';
export { inWords, sentencesOf } from './words.ts';
