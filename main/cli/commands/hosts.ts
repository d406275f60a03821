import type { Command } from 'commander';
import { parseAddress } from '../../../shared/address.ts';
import type { Host } from '../../../shared/model/host.ts';
import type { Peer } from '../../../shared/rpc.ts';
import { hostView } from '../../../shared/view/index.ts';
import { asks, does, withEngine } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../table.ts';

/** hosts, peers. */
export function addHosts(program: Command): void {
  const hosts = program.command('hosts').description('computers that VMs may visit: found nearby, added, remembered');
  asks(
    hosts.command('list', { isDefault: true }).description('list them'),
    (engine) => engine.call('hosts.list', {}),
    (list, { output }) => hostTable(list, output.columns),
  );
  asks(
    hosts
      .command('add')
      .description('add one that is not found by itself')
      .argument('<address:port>', 'as "homeward host" shows it there')
      .addHelpText(
        'after',
        '\nExamples:\n  homeward hosts add 192.168.1.20:7420\n  homeward hosts add [fd00::20]:7420',
      ),
    (engine, _options, address = '') => engine.call('hosts.add', parseAddress(address)),
    (host) => `Added ${host.name}.${host.paired ? '' : ` Pair with it: homeward pair ${host.name}`}`,
  );
  asks(
    hosts
      .command('forget')
      .description('forget one that was added')
      .argument('<host>', 'name, fingerprint or address:port')
      .addHelpText('after', '\nExample:\n  homeward hosts forget 192.168.1.20:7420'),
    (engine, _options, host = '') => engine.call('hosts.forget', { host }),
    () => 'Forgotten.',
  );

  const peers = program.command('peers').description('computers this one is paired with');
  asks(
    peers.command('list', { isDefault: true }).description('list them'),
    (engine) => engine.call('peers.list', {}),
    (list, { output }) => peerTable(list, output.columns),
  );
  asks(
    peers
      .command('rename')
      .description('give one another name on this computer')
      .argument('<peer>', 'name or fingerprint')
      .argument('<name>', 'its new name')
      .addHelpText('after', '\nExample:\n  homeward peers rename tower attic'),
    (engine, _options, fingerprint = '', name = '') => engine.call('peers.rename', { fingerprint, name }),
    (peer) => `It is called ${peer.name} now.`,
  );
  does<{ yes?: true }>(
    peers
      .command('revoke')
      .description('end a pairing: neither computer can use the other until they pair again')
      .argument('<peer>', 'name or fingerprint')
      .option('-y, --yes', 'do not ask')
      .addHelpText('after', '\nExample:\n  homeward peers revoke tower'),
    async ({ output, asker }, { yes }, fingerprint = '') => {
      if (yes !== true && !output.json && !(await asker.confirm(`End the pairing with ${fingerprint}?`))) {
        output.note('Nothing was changed.');
        return exitCodes.cancelled;
      }
      const answer = await withEngine((engine) => engine.call('peers.revoke', { fingerprint }));
      output.result(answer, () => 'The pairing is ended.');
      return exitCodes.ok;
    },
  );
}

export function hostTable(hosts: readonly Host[], columns: number): string {
  if (hosts.length === 0) {
    return 'No hosts yet. Run "homeward host" on the workstation, or add it: homeward hosts add ADDRESS:PORT';
  }
  const rows = hosts.map((host) => {
    const view = hostView(host);
    return [view.name, view.state, view.capacity ?? '', view.distance ?? '', view.address ?? '', view.found];
  });
  return table(['NAME', 'STATE', 'CAPACITY', 'DISTANCE', 'ADDRESS', 'KNOWN BY'], rows, columns);
}

function peerTable(peers: readonly Peer[], columns: number): string {
  if (peers.length === 0) return 'Not paired with any computer. See whom to pair with: homeward pair';
  const rows = peers.map((peer) => [
    peer.name,
    peer.role === 'host' ? 'VMs of this computer visit it' : 'its VMs visit this computer',
    peer.pairedAt.slice(0, 10),
    peer.fingerprint.slice(0, 16),
  ]);
  return table(['NAME', 'ROLE', 'PAIRED', 'FINGERPRINT'], rows, columns);
}
