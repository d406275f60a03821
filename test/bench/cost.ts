import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** USER_HZ: the unit of times in /proc, the same on every Linux that runs Node. */
const ticksPerSec = 100;

async function cpuSeconds(pid: number): Promise<number> {
  // Fields 14 and 15 of proc_pid_stat(5), counted after the command name, which may hold spaces.
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSec;
}

async function rssBytes(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** Percent of one core over so many seconds, and the largest resident memory seen, in units of 1,000,000 bytes. */
export async function costOf(pid: number, seconds: number) {
  const startedMs = performance.now();
  const cpuBefore = await cpuSeconds(pid);
  let largestRssBytes = 0;
  while (performance.now() - startedMs < seconds * 1_000) {
    largestRssBytes = Math.max(largestRssBytes, await rssBytes(pid));
    await sleep(1_000);
  }
  const elapsedS = (performance.now() - startedMs) / 1_000;
  const usedS = (await cpuSeconds(pid)) - cpuBefore;
  return {
    cpu_percent: Number(((usedS / elapsedS) * 100).toFixed(3)),
    rss_mb: Number((largestRssBytes / 1e6).toFixed(1)),
    seconds: Number(elapsedS.toFixed(1)),
  };
}
