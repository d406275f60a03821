/** The network stays home: a frame relay per VM, to which the host carries frames. */
export { FrameReader } from './frames.ts';
export { GuestNetwork, type GuestNetworkOptions } from './guest-network.ts';
