import type { HomeDisk } from '../disk/index.ts';
import type { Connection } from '../libvirt/index.ts';
import type { GuestNetwork } from '../network/index.ts';

/** Home's side of a VM that is ready to move. */
export interface LocalVm {
  readonly uuid: string;
  readonly name: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly accel: 'kvm' | 'tcg';
  /** Home's libvirt. */
  readonly connection: Connection;
  readonly uri: string;
  readonly disk: HomeDisk;
  /** Target names of its disks, e.g. vda. */
  readonly disks: readonly string[];
  /** The frame relay; undefined where the VM's NICs are left as they are. */
  readonly network: GuestNetwork | undefined;
  /** Positions, among the VM's network cards, of those the relay serves. */
  readonly nics: readonly number[];
}
