/** The network stays home: a frame relay per VM, and its far end at the workstation. */
export { frameEndCommand } from './frame-end.ts';
export { GuestNetwork, type GuestNetworkOptions } from './guest-network.ts';
