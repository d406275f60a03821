/** The workstation role: one sandbox per visiting VM, admission, facts, benchmark. */
export { LocalFacts, type LocalFactsOptions } from './facts.ts';
export type { Peer } from './peers.ts';
export { HostRole, type HostRoleOptions } from './role.ts';
