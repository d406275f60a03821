import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { BedHost } from './host.ts';

/**
 * Domains with this UUID in state running, over every libvirtd of the bed. Two daemons cannot be asked at one instant,
 * so a switch between two questions would look like two copies: a domain counts if it ran in both of two rounds.
 */
export async function countRunningCopies(hosts: readonly BedHost[], uuid: string): Promise<number> {
  const first = await runningAt(hosts, uuid);
  if (first.length < 2) return first.length;
  const second = await runningAt(hosts, uuid);
  return first.filter((daemon) => second.includes(daemon)).length;
}

/** PIDs of the libvirtds that call the domain running. */
async function runningAt(hosts: readonly BedHost[], uuid: string): Promise<readonly number[]> {
  const running: number[] = [];
  for (const pid of hosts.flatMap(libvirtds)) {
    const socket = listeningSocket(pid);
    if (socket !== undefined && (await domainState(`/proc/${pid}/root${socket}`, uuid)) === 'running')
      running.push(pid);
  }
  return running;
}

function libvirtds(host: BedHost): readonly number[] {
  return host
    .processes()
    .filter(({ args }) => ['libvirtd', 'virtqemud'].includes(basename(args[0] ?? '')))
    .map(({ pid }) => pid);
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
      const args = ['-q', '-c', `qemu:///${mode}?socket=${socket}`, 'domstate', uuid];
      execFile('virsh', args, { timeout: 10_000, env: { ...process.env, LIBVIRT_AUTOSTART: '0' } }, (error, stdout) =>
        resolve(error === null ? stdout.trim() : undefined),
      );
    });
    if (answer !== undefined) return answer;
  }
  return 'absent';
}
