import { randomUUID } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asRoot, type BedHost, type BedProcess, type RunResult } from './host.ts';

/** A host's own libvirt: what an engine there finds at `uri` without being told anything. */
export interface Libvirtd {
  readonly connection: 'session' | 'system';
  readonly uri: string;
  /** The same daemon for a program outside the host. */
  readonly uriFromOutside: string;
  /** Kills the daemon alone; its guests run on. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  virsh(...args: readonly string[]): Promise<RunResult>;
}

/** A client that finds no session daemon would start one of its own. */
const noSecondDaemon = { LIBVIRT_AUTOSTART: '0' };
const startDeadlineMs = 20_000;

export async function startLibvirtd(host: BedHost): Promise<Libvirtd> {
  const connection = asRoot ? 'system' : 'session';
  const runtime = asRoot ? join(host.folder, 'run') : host.env['XDG_RUNTIME_DIR'];
  const config = join(host.folder, asRoot ? 'etc/libvirt' : 'config/libvirt');
  const socket = join(String(runtime), 'libvirt/libvirt-sock');
  const uri = `qemu:///${connection}`;
  await writeConfig(config);

  let daemon: BedProcess | undefined;
  const start = async () => {
    daemon = await host.spawn('libvirtd', [], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    daemon.child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000);
    });
    for (const since = performance.now(); ; await sleep(50)) {
      const answer = await host.run('virsh', ['-q', '-c', uri, 'uri'], { env: noSecondDaemon });
      if (answer.code === 0) return;
      if (daemon.child.exitCode !== null || performance.now() - since > startDeadlineMs) {
        throw new Error(`libvirtd on ${host.name} does not answer. ${said.trim()} ${answer.stderr.trim()}`);
      }
    }
  };
  const kill = async () => {
    daemon?.kill('SIGKILL');
    await daemon?.exited;
  };
  await start();
  await access(socket);
  return {
    connection,
    uri,
    uriFromOutside: `${uri}?socket=${socket}`,
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    virsh: (...args) => host.run('virsh', ['-q', '-c', uri, ...args], { env: noSecondDaemon, timeoutMs: 120_000 }),
  };
}

/** Without libvirt's helpers (virtlogd, polkit), which no bed has; and, as root, without a second user. */
async function writeConfig(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const daemon = [`host_uuid = "${randomUUID()}"`, ...(asRoot ? ['auth_unix_rw = "none"'] : [])];
  const forRoot = [
    'user = "root"',
    'group = "root"',
    'security_driver = "none"',
    'cgroup_controllers = [ ]',
    'namespaces = [ ]',
    'remember_owner = 0',
  ];
  await writeFile(join(folder, 'libvirtd.conf'), `${daemon.join('\n')}\n`);
  await writeFile(join(folder, 'qemu.conf'), `${['stdio_handler = "file"', ...(asRoot ? forRoot : [])].join('\n')}\n`);
}
