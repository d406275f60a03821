import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { HostLink } from '../../../main/link/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { alpn } from '../../../shared/wire.ts';
import { makeBed, until } from '../link/bed.ts';
import { visitRequest } from '../samples.ts';

const request = visitRequest();
const honest = { disks: { vda: '/hw/disk-vda.sock' }, exportName: 'disk', nicPorts: [7_000] };

/** A paired host, not made of our parts, that answers `visit.prepare` with whatever it likes. */
async function linkTo(answer: unknown): Promise<HostLink> {
  const bed = await makeBed();
  onTestFinished(() => bed.close());
  const { certificatePem, keyPem } = bed.host;
  const sockets = new Set<Socket>();
  const liar = createServer(
    { cert: certificatePem, key: keyPem, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [alpn.control] },
    (socket) => {
      socket.on('error', () => undefined);
      socket.write('{"ok":true}\n');
      createInterface({ input: socket }).on('line', (line) => {
        const { id, method } = JSON.parse(line);
        socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: method === 'ping' ? {} : answer })}\n`);
      });
    },
  );
  liar.on('connection', (socket: Socket) => sockets.add(socket));
  await once(liar.listen(0, '127.0.0.1'), 'listening');
  bed.atEnd(() => {
    for (const socket of sockets) socket.destroy();
    liar.close();
  });
  const address = liar.address();
  if (typeof address !== 'object' || address === null) throw new Error('It does not listen.');
  const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port: address.port }] });
  await until(() => link.state === 'up');
  return link;
}

describe('a host that lies about where its sockets are', () => {
  it('is believed as long as what it says is plain', async () => {
    expect(await (await linkTo(honest)).call('visit.prepare', request)).toEqual(honest);
  });

  it.each([
    ['a path with markup', { ...honest, disks: { vda: "/hw/a'/><disk file='/etc/shadow" } }],
    ['a path that climbs', { ...honest, disks: { vda: '/hw/../../etc/shadow' } }],
    ['a path that is relative', { ...honest, disks: { vda: 'disk.sock' } }],
    ['a path with a line break', { ...honest, disks: { vda: '/hw/disk\n.sock' } }],
    ['a path that is too long', { ...honest, disks: { vda: `/${'a'.repeat(200)}` } }],
    ['a disk with an odd name', { ...honest, disks: { '../vda': '/hw/disk.sock' } }],
    ['an export name with markup', { ...honest, exportName: '<x>' }],
    ['port 0', { ...honest, nicPorts: [0] }],
    ['a hundred network cards', { ...honest, nicPorts: Array.from({ length: 100 }, () => 7_000) }],
    ['something else altogether', 'all is well'],
  ])('%s: the whole answer is refused, with a sentence', async (_what, answer) => {
    const outcome = (await linkTo(answer)).call('visit.prepare', request);
    await expect(outcome).rejects.toThrow(HomewardError);
    await expect(outcome).rejects.toHaveProperty('hint', expect.stringMatching(/\w/));
  });
});
