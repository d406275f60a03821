/** Who this machine is, whom it trusts, and how two machines come to trust each other. */
export { fingerprintOf, type Identity, loadIdentity, makeIdentity } from './identity.ts';
export { PairingDesk, type PairingDeskOptions } from './pairing-desk.ts';
export { type PeerRole, PeerStore } from './peers.ts';
