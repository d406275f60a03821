import { type Connection, parseCapabilities } from '../libvirt/index.ts';

/**
 * User as whom libvirt starts QEMU where that is not fixed: what virConnectGetCapabilities names as the base label
 * of the security model `dac`, e.g. `+64055:+109`. Undefined where it names none (a session's QEMU runs as ourselves).
 * @throws LibvirtError
 */
export async function qemuUid(connection: Connection): Promise<number | undefined> {
  const { secmodels } = parseCapabilities(await connection.capabilitiesXml());
  const labels = secmodels.find(({ model }) => model === 'dac')?.baselabels ?? {};
  const uid = /^\+?(\d+):/.exec(labels['kvm'] ?? labels['qemu'] ?? '')?.[1];
  return uid === undefined ? undefined : Number(uid);
}
