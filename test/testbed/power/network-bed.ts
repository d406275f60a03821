import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sh } from '../command.ts';
import type { PowerBed } from './power-bed.ts';

const here = import.meta.dirname;

/** A laptop's network namespace with one cable to a peer's; the names are machine-wide, so they are this process's own. */
export class NetworkBed {
  readonly laptop = `hwp${process.pid}l`;
  readonly peer = `hwp${process.pid}p`;
  #folder: string | undefined;

  static async start(): Promise<NetworkBed> {
    const bed = new NetworkBed();
    try {
      for (const name of [bed.laptop, bed.peer]) {
        await sh('ip', ['netns', 'add', name]);
        await sh('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
      }
      await sh('ip', [
        ...'link add l0 netns'.split(' '),
        bed.laptop,
        ...'type veth peer name p0 netns'.split(' '),
        bed.peer,
      ]);
      // The name that NetworkManager's own rules let it manage.
      await sh('ip', ['-n', bed.laptop, 'link', 'set', 'l0', 'name', 'eth0']);
      await sh('ip', ['-n', bed.peer, 'addr', 'add', '10.78.0.2/24', 'dev', 'p0']);
      await bed.plug(true);
      return bed;
    } catch (thrown) {
      await bed.stop();
      throw thrown;
    }
  }

  /** The cable, from its other end. */
  async plug(inserted: boolean): Promise<void> {
    await sh('ip', ['-n', this.peer, 'link', 'set', 'p0', inserted ? 'up' : 'down']);
  }

  /** Without NetworkManager. */
  async configure(): Promise<void> {
    await sh('ip', ['-n', this.laptop, 'addr', 'add', '10.78.0.1/24', 'dev', 'eth0']);
    await sh('ip', ['-n', this.laptop, 'link', 'set', 'eth0', 'up']);
    await sh('ip', ['-n', this.laptop, 'route', 'add', 'default', 'via', '10.78.0.2']);
  }

  /** The real one, on that machine's bus. */
  async startNetworkManager(power: PowerBed): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'hw-nm-'));
    await writeFile(
      join(this.#folder, 'NetworkManager.conf'),
      `[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\nno-auto-default=*\n[keyfile]\npath=${this.#folder}/connections\n[logging]\nlevel=INFO\n[connectivity]\nenabled=false\n`,
    );
    await sh('mkdir', ['-p', join(this.#folder, 'connections')]);
    const connection = join(this.#folder, 'connections/wire.nmconnection');
    await writeFile(
      connection,
      '[connection]\nid=wire\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=manual\naddresses=10.78.0.1/24\ngateway=10.78.0.2\n[ipv6]\nmethod=disabled\n',
      { mode: 0o600 },
    );
    power.spawn('ip', [
      ...['netns', 'exec', this.laptop, 'unshare', '--uts', '-m'],
      join(here, 'network-manager.sh'),
      this.#folder,
    ]);
  }

  async stop(): Promise<void> {
    for (const name of [this.laptop, this.peer]) await sh('ip', ['netns', 'del', name]).catch(() => undefined);
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}
