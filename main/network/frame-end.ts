import { relayCommand } from './relay-config.ts';

export interface FrameEndOptions {
  /** Position among the VM's NICs, from 0. */
  readonly nic: number;
  /** Loopback TCP port where the visiting QEMU's NIC connects. */
  readonly port: number;
  /** Where a connection leads to the relay at home; dialled again whenever it ends. */
  readonly upstreamSocket: string;
  /** User the visiting QEMU runs as. */
  readonly uid: number;
}

/**
 * The workstation's end of a guest NIC. It keeps QEMU's connection while the link comes and goes, which a
 * plain splice would not: QEMU's socket NIC does not dial again.
 */
export function frameEndCommand({ nic, port, upstreamSocket, uid }: FrameEndOptions): {
  command: string;
  args: string[];
} {
  return relayCommand({ wires: [{ index: nic, port, uplink: { socket: upstreamSocket }, uids: [uid] }] });
}
