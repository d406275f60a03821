/** The workstation role: one sandbox per visiting VM, admission, facts, benchmark. */
export type { PeerConnection, StreamWish } from './peers.ts';
export { HostRole, type HostRoleOptions } from './role.ts';
