import { Bed, type BedOptions } from './bed.ts';

export type { Bed, BedOptions } from './bed.ts';
export { buildGuest, type GuestImage } from './guest/build.ts';
export { isDebianGuestBuilt } from './guest/debian/build.ts';
export { defineGuest, type Guest, type GuestSpec, startGuest } from './guest/define.ts';
export type { BedHost, BedProcess, Exit, RunResult, SpawnOptions } from './host.ts';
export { type Libvirtd, startLibvirtd } from './libvirtd.ts';
export { type GuestReport, Observer } from './observer.ts';
export type { ProcessEntry } from './processes.ts';

/** Two isolated hosts, up and plugged together. */
export const createBed = (options?: BedOptions): Promise<Bed> => Bed.create(options);
export { BedEngine, type BedEngineOptions, homeward, pairEngines, stateFolder } from './engines.ts';
export { type GuestProcess, guestProcesses } from './places.ts';
export { Scene, type SceneOptions } from './scene.ts';
export { SlowHome } from './slow.ts';
