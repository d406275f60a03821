import { z } from 'zod';
import { type Connection, LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';

const MigrationInfo = z.object({ status: z.string().optional() });

/**
 * QEMU's own word for how its migration, out or in, stands (query-migrate); `gone` where the VM is no more.
 * @throws LibvirtError where QEMU cannot be asked
 */
export async function migrationStatus(
  end: Pick<Connection, 'qemuMonitorCommand'>,
  uuid: string,
): Promise<string | undefined> {
  try {
    const answer = await end.qemuMonitorCommand(uuid, { execute: 'query-migrate' });
    return MigrationInfo.parse(answer).status;
  } catch (thrown) {
    if (thrown instanceof LibvirtError && thrown.code === libvirtErrorCode.NO_DOMAIN) return 'gone';
    throw thrown;
  }
}
