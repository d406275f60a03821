/** Who this machine is, whom it trusts, and how two machines come to trust each other. */
export { fingerprintOf, type Identity, loadIdentity, makeIdentity } from './identity.ts';
export { PairingDesk } from './pairing-desk.ts';
export { PeerStore } from './peers.ts';
