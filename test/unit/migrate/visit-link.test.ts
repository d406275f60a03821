import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { HomeDisk } from '../../../main/disk/index.ts';
import type { Connection, Libvirt } from '../../../main/libvirt/index.ts';
import { type HostLink, serveUnixSocket } from '../../../main/link/index.ts';
import { VisitLink } from '../../../main/migrate/index.ts';
import type { WantedStream } from '../../../shared/wire.ts';
import { tempFolder } from '../engine/temp-folder.ts';

const visit = 'a'.repeat(32);
const wanted = (disk: string): WantedStream => ({ kind: 'disk', stream: 'b'.repeat(32), visit, disk });

/** Home's end of a visit, with a socket in the storage daemon's place; nothing here talks to libvirt or the host. */
async function openVisit(): Promise<{ readonly visitLink: VisitLink; readonly clients: Socket[] }> {
  const folder = await tempFolder();
  const clients: Socket[] = [];
  const daemon = await serveUnixSocket(`${folder}/nbd.sock`, (socket) => void clients.push(socket.resume()));
  const visitLink = await VisitLink.open({
    link: {} as HostLink,
    libvirt: {} as Libvirt,
    visit,
    vm: {
      uuid: '00000000-0000-4000-8000-000000000001',
      name: 'work',
      vcpus: 1,
      memoryBytes: 1024 ** 3,
      accel: 'tcg',
      connection: {} as Connection,
      uri: 'test:///default',
      disk: { socket: `${folder}/nbd.sock` } as HomeDisk,
      disks: ['vda', 'vdb'],
      network: undefined,
      nics: [],
    },
    migrationFolder: `${folder}/migration`,
    runtimeFolder: folder,
  });
  onTestFinished(async () => {
    await visitLink.close();
    await daemon.close();
  });
  return { visitLink, clients };
}

describe('the streams of a visit’s disks', () => {
  it('one for each disk: the one before is closed before the next is opened', async () => {
    const { visitLink, clients } = await openVisit();
    const first = await visitLink.answer(wanted('vda'));
    const other = await visitLink.answer(wanted('vdb'));
    const second = await visitLink.answer(wanted('vda'));
    expect(first.closed).toBe(true);
    expect(other.destroyed).toBe(false);
    expect(second.destroyed).toBe(false);
    await expect.poll(() => clients.filter(({ readableEnded }) => !readableEnded).length).toBe(2);
  });

  it('asked for many times at once: the last is left', async () => {
    const { visitLink, clients } = await openVisit();
    const streams = await Promise.all(Array.from({ length: 5 }, () => visitLink.answer(wanted('vda'))));
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, true, true, true, false]);
    await expect.poll(() => clients.filter(({ readableEnded }) => !readableEnded).length).toBe(1);
  });

  it('one that ended by itself is in nobody’s way', async () => {
    const { visitLink } = await openVisit();
    const first = await visitLink.answer(wanted('vda'));
    first.destroy();
    await once(first, 'close');
    expect((await visitLink.answer(wanted('vda'))).destroyed).toBe(false);
  });

  it('none for a disk the VM has not', async () => {
    const { visitLink } = await openVisit();
    await expect(visitLink.answer(wanted('vdc'))).rejects.toMatchObject({ code: 'refused' });
  });
});
