/** The workstation role: one sandbox per visiting VM, admission, facts, benchmark. */
export { MachineBenchmark } from './benchmark.ts';
export { LocalFacts } from './facts.ts';
export { hashChain } from './hash-chain.ts';
export type { Peer } from './peers.ts';
export { HostRole } from './role.ts';
