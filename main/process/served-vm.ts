/** What a child that serves one VM at home, its disks or its network, is told of it. */
export interface ServedVm {
  /** UUID of the VM. */
  readonly vm: string;
  /** The VM's own runtime folder; made, mode 0700, where it is not there. */
  readonly folder: string;
  /** User that libvirt runs this VM's QEMU as, where it is not ours: may use the socket or port too. */
  readonly grantUid?: number | undefined;
}
