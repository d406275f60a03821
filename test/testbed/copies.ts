import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { BedHost } from './host.ts';

interface Daemon {
  readonly pid: number;
  readonly host: string;
}

/**
 * Names of the hosts on which a domain with this UUID is in state running, over every libvirtd of the bed; a host twice
 * where two of its daemons run it. Two daemons cannot be asked at one instant, so a switch between two questions would
 * look like two copies: a domain counts if it ran in both of two rounds.
 */
export async function whereRunning(hosts: readonly BedHost[], uuid: string): Promise<readonly string[]> {
  const first = await runningAt(hosts, uuid);
  const second = first.length < 2 ? first : await runningAt(hosts, uuid);
  return first.filter(({ pid }) => second.some((daemon) => daemon.pid === pid)).map(({ host }) => host);
}

/** What every libvirtd says of the domain, for people: `workstation: paused (migrating)`. */
export async function allStates(hosts: readonly BedHost[], uuid: string): Promise<readonly string[]> {
  const told = hosts.flatMap(libvirtds).map(async (daemon) => `${daemon.host}: ${await stateAt(daemon, uuid)}`);
  return Promise.all(told);
}

/** The libvirtds that call the domain running. */
async function runningAt(hosts: readonly BedHost[], uuid: string): Promise<readonly Daemon[]> {
  const running: Daemon[] = [];
  for (const daemon of hosts.flatMap(libvirtds))
    if ((await stateAt(daemon, uuid)).startsWith('running')) running.push(daemon);
  return running;
}

async function stateAt({ pid }: Daemon, uuid: string): Promise<string> {
  const socket = listeningSocket(pid);
  return socket === undefined ? 'silent' : domainState(`/proc/${pid}/root${socket}`, uuid);
}

function libvirtds(host: BedHost): readonly Daemon[] {
  return host
    .processes()
    .filter(({ args }) => ['libvirtd', 'virtqemud'].includes(basename(args[0] ?? '')))
    .map(({ pid }) => ({ pid, host: host.name }));
}

/** The daemon's read-write socket as the daemon sees the file system; proc(5), net/unix. */
function listeningSocket(pid: number): string | undefined {
  try {
    const own = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
    for (const line of readFileSync(`/proc/${pid}/net/unix`, 'utf8').split('\n')) {
      const [, , , , , , inode, path] = line.trim().split(/\s+/);
      if (/\/(libvirt|virtqemud)-sock$/.test(path ?? '') && own.has(`socket:[${inode}]`)) return path;
    }
  } catch {
    // gone meanwhile
  }
  return undefined;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** By virsh, not by the product's own binding: the judge should not share its code. */
async function domainState(socket: string, uuid: string): Promise<string> {
  // Whether the daemon calls itself system or session hangs on the user it believes to be.
  for (const mode of ['session', 'system']) {
    const answer = await new Promise<string | undefined>((resolve) => {
      const args = ['-q', '-c', `qemu:///${mode}?socket=${socket}`, 'domstate', '--reason', uuid];
      execFile('virsh', args, { timeout: 10_000, env: { ...process.env, LIBVIRT_AUTOSTART: '0' } }, (error, stdout) =>
        resolve(error === null ? stdout.trim() : undefined),
      );
    });
    if (answer !== undefined) return answer;
  }
  return 'absent';
}
