/** A laptop's power and network without a laptop: real logind with a lid, real NetworkManager, a mock of UPower. */
export { NetworkBed } from './network-bed.ts';
export { PowerBed, type PowerBedOptions } from './power-bed.ts';
export { UpowerMock } from './upower-mock.ts';
