import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HomewardError } from '../../shared/errors.ts';
import type { Finding } from '../../shared/rpc.ts';
import { type BedHost, defineGuest, pairEngines, Scene } from '../testbed/index.ts';

const run = promisify(execFile);
const nobody = '00000000-0000-4000-8000-000000000000';

/** What a call was refused with. */
async function refusalOf(call: Promise<unknown>): Promise<HomewardError> {
  const outcome = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(outcome instanceof HomewardError)) throw new Error(`Not refused with a sentence: ${String(outcome)}`);
  return outcome;
}

const problems = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ severity }) => severity === 'problem').map(({ id }) => id);

const asRoot = process.getuid?.() === 0;
const engine = fileURLToPath(new URL('../../main/engine/main.ts', import.meta.url));

/** Runs a shell command among the host's mounts, with the right to change them; throws with what it said. */
async function among(scene: Scene, host: BedHost, script: string): Promise<void> {
  const user = asRoot ? [] : [`--user=/proc/${scene.bed.bedPid}/ns/user`, '--preserve-credentials'];
  await run('nsenter', [...user, '--target', String(host.initPid), '--mount', '--pid', '--', 'sh', '-c', script]);
}

/** `tool` cannot be executed on `host` until the answer is called. */
async function hide(scene: Scene, host: BedHost, tool: string): Promise<() => Promise<void>> {
  const { stdout } = await host.run('sh', ['-c', `readlink -f "$(command -v ${tool})"`]);
  const path = stdout.trim();
  await among(scene, host, `mount --bind /dev/null '${path}'`);
  return () => among(scene, host, `umount '${path}'`);
}

/** One bed for all of it: each refusal must leave the VM where it was, running. */
describe('what cannot be done is refused with a sentence and what to do, and the VM runs on', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.set();
    await defineGuest(scene.bed.laptop, scene.libvirtd, { name: 'other' });
    await scene.laptop.until('the second VM to be listed', 10_000, () => scene.laptop.vm('other'));
  });

  afterAll(() => scene?.close());

  const call: Scene['laptop']['client']['call'] = (method, params, options) =>
    scene.laptop.client.call(method, params, options);

  /** Nothing has happened: at home, running, no visitor, no move, nothing but the home export on the disk. */
  async function expectUntouched(): Promise<void> {
    const vm = await scene.laptop.vm(scene.guest.name);
    expect(vm.place.kind).toBe('home');
    expect(vm.state).toBe('running');
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    expect((await scene.laptop.status()).moves).toEqual([]);
    await scene.workstation.until('the host to be empty', 20_000, async () =>
      (await scene.workstation.status()).host.visitors.length === 0 ? true : undefined,
    );
    const left = (await readdir(join(scene.bed.laptop.folder, 'tmp'))).filter((name) => name.startsWith('homeward-'));
    expect(left).toEqual([]);
    expect(await scene.observer.runningCopies()).toBe(1);
  }

  it('an unknown VM: the ones there are, are named', async () => {
    const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'wroker' }));
    expect(code).toBe('unknown-vm');
    expect(message).toContain('"wroker"');
    expect(hint).toContain('worker');
  });

  it('an unknown host: the ones there are, are named', async () => {
    const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'worker', host: 'towr' }));
    expect(code).toBe('unknown-host');
    expect(message).toContain('"towr"');
    expect(hint).toContain('workstation');
  });

  it('a host that is known by address only: pair it first', async () => {
    await call('hosts.add', { address: '10.77.0.99', port: 4_000 });
    const { code, hint } = await refusalOf(call('move.offload', { vm: 'worker', host: '10.77.0.99:4000' }));
    expect(code).toBe('not-paired');
    expect(hint).toContain('homeward pair');
    await call('hosts.forget', { host: '10.77.0.99:4000' });
  });

  it('a VM by UUID and a host by the start of its fingerprint are known, by less they are not', async () => {
    const hosts = await call('hosts.list', {});
    const [host] = hosts;
    expect(host?.name).toBe('workstation');
    const start = host?.fingerprint?.slice(0, 8) ?? '';
    expect((await call('move.plan', { vm: scene.guest.uuid, direction: 'out', host: start })).possible).toBe(true);
    expect((await refusalOf(call('move.plan', { vm: 'worker', direction: 'out', host: start.slice(0, 3) }))).code).toBe(
      'unknown-host',
    );
  });

  it('a VM that is at home already', async () => {
    const { code, message, hint } = await refusalOf(call('move.home', { vm: 'worker' }));
    expect(code).toBe('vm-home');
    expect(message).toContain('already at home');
    expect(hint).toContain('homeward offload worker');
  });

  it('a VM that has not been made ready', async () => {
    const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'other' }));
    expect(code).toBe('not-ready');
    expect(message).toContain('not been made ready');
    expect(hint).toContain('homeward adopt other --apply');
  });

  it('a VM that is ready but shut off', async () => {
    await call('vm.adopt', { vm: 'other' });
    const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'other' }));
    expect(code).toBe('vm-not-running');
    expect(message).toContain('not running');
    expect(hint).toContain('virsh -c qemu:///');
    const plan = await call('move.plan', { vm: 'other', direction: 'out' });
    expect(plan.possible).toBe(false);
    expect(plan.obstacles.join(' ')).toContain('not running');
    await call('vm.release', { vm: 'other' });
    expect((await scene.laptop.vm('other')).adopted).toBe(false);
  });

  it('making a VM ready, or undoing it, while it runs', async () => {
    const release = await refusalOf(call('vm.release', { vm: 'worker' }));
    expect(release.code).toBe('vm-busy');
    expect(release.hint).toContain('shutdown worker');
    const again = await refusalOf(call('vm.adopt', { vm: 'worker' }));
    expect(again.code).toBe('bad-input');
    expect(again.message).toContain('already ready');
    await expectUntouched();
  });

  it('nothing to cancel, nothing to hurry, no such move', async () => {
    expect((await refusalOf(call('move.cancel', { vm: 'worker' }))).message).toContain('not being moved');
    expect((await refusalOf(call('move.finishNow', { vm: 'worker' }))).message).toContain('not being moved');
    const { message, hint } = await refusalOf(call('move.wait', { id: '0'.repeat(32) }));
    expect(message).toContain('no such move');
    expect(hint).toContain('homeward log');
  });

  it.each([
    [{ maxVisitors: 0 }, /visitors? at most/],
    [{ maxMemoryBytes: 256 * 1024 * 1024 }, /of memory; this workstation gives visitors 0\.3 GiB/],
  ] as const)('a host whose owner limits it: %j', async (limits, words) => {
    const before = await scene.workstation.client.call('host.settings', {});
    await scene.workstation.client.call('host.configure', limits);
    try {
      const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'worker' }));
      expect(code).toBe('host-full');
      expect(message).toMatch(words);
      expect(message).toContain('workstation');
      expect(hint).toContain('raise the limit');
      expect((await call('move.plan', { vm: 'worker', direction: 'out' })).possible).toBe(false);
    } finally {
      await scene.workstation.client.call('host.configure', before);
    }
    await expectUntouched();
  });

  it('this computer does not know its own name: the doctor says so and a plan warns', async () => {
    const hosts = join(scene.bed.laptop.folder, 'etc/hosts');
    const before = await readFile(hosts, 'utf8');
    await writeFile(hosts, '127.0.0.1 localhost\n');
    try {
      const findings = await call('doctor.run', {});
      expect(problems(findings)).toContain('own-name');
      expect(findings.find(({ id }) => id === 'own-name')?.command).toContain('/etc/hosts');
      const plan = await call('move.plan', { vm: 'worker', direction: 'out' });
      expect(plan.possible).toBe(true);
      expect(plan.warnings.join(' ')).toContain('cannot resolve its own name');
    } finally {
      await writeFile(hosts, before);
    }
  });

  it('no room left for the journal: no move begins', async () => {
    const state = join(scene.bed.laptop.folder, 'state/homeward');
    await scene.laptop.stop();
    await among(
      scene,
      scene.bed.laptop,
      `cp -a '${state}' '${state}.kept' && mount -t tmpfs -o size=1m,mode=700 tmpfs '${state}' && cp -a '${state}.kept/.' '${state}/'`,
    );
    try {
      await scene.restartLaptop();
      await scene.laptop.until('the host to answer', 15_000, async () =>
        (await call('move.plan', { vm: 'worker', direction: 'out' })).possible ? true : undefined,
      );
      await among(scene, scene.bed.laptop, `cat /dev/zero >'${state}/filler' 2>/dev/null || true`);
      const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'worker' }));
      expect(code).toBe('disk-full');
      expect(message).toContain('journal.jsonl');
      expect(hint).toContain('Free some space');
      expect(problems(await call('doctor.run', {}))).toContain('disk-full');
      await expectUntouched();
    } finally {
      await scene.laptop.stop();
      await among(scene, scene.bed.laptop, `umount -l '${state}' && rm -rf '${state}.kept'`);
      await scene.restartLaptop();
      await scene.laptop.until('the host to answer', 15_000, async () =>
        (await call('move.plan', { vm: 'worker', direction: 'out' })).possible ? true : undefined,
      );
    }
  });

  it.each([
    ['passt', 'laptop', 'keep a VM’s connections', 'problem'],
    ['qemu-storage-daemon', 'laptop', 'serve a VM’s disk', 'problem'],
    // Only VMs of other computers need it, and to this one none come.
    ['bwrap', 'laptop', 'lock visiting VMs in', 'note'],
    ['bwrap', 'workstation', 'lock visiting VMs in', 'problem'],
    ['nbdkit', 'workstation', 'cache a visiting VM’s disk', 'problem'],
  ] as const)('%s is missing, %s: the doctor names the package', async (tool, where, use, severity) => {
    const show = await hide(scene, scene.bed[where], tool);
    try {
      const findings = await scene[where].client.call('doctor.run', {});
      const finding = findings.find(({ id }) => id === `tool-${tool}`);
      expect(finding?.severity).toBe(severity);
      expect(finding?.detail).toContain(use);
      expect(finding?.command).toContain('apt-get install');
    } finally {
      await show();
    }
  });

  it.each(['bwrap', 'nbdkit', 'libvirtd'])('%s is missing at the host: nothing begins', async (tool) => {
    const show = await hide(scene, scene.bed.workstation, tool);
    try {
      const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'worker' }));
      expect(code).toBe('missing-tool');
      expect(message).toMatch(new RegExp(`^workstation: .*${tool}`));
      expect(hint).toContain('Install the package');
    } finally {
      await show();
    }
    await expectUntouched();
  });

  it('passt is missing: no VM is made ready, and its definition stays as it was', async () => {
    const before = (await scene.libvirtd.virsh('dumpxml', '--inactive', 'other')).stdout;
    const show = await hide(scene, scene.bed.laptop, 'passt');
    try {
      const { code, message, hint } = await refusalOf(call('vm.adopt', { vm: 'other' }));
      expect(code).toBe('missing-tool');
      expect(message).toContain('passt');
      expect(hint).toMatch(/install/i);
    } finally {
      await show();
    }
    expect((await scene.libvirtd.virsh('dumpxml', '--inactive', 'other')).stdout).toBe(before);
    expect((await scene.laptop.vm('other')).adopted).toBe(false);
  });

  it('no room at the host: nothing begins', async () => {
    const visits = join(scene.bed.workstation.folder, 'xdg-run/homeward/h/v');
    await among(scene, scene.bed.workstation, `mount -t tmpfs -o size=1m tmpfs '${visits}'`);
    try {
      const { code, message, hint } = await refusalOf(call('move.offload', { vm: 'worker' }));
      expect(code).toBe('disk-full');
      expect(message).toMatch(/^workstation: .* MiB left/);
      expect(hint).toContain('Free some space');
    } finally {
      await among(scene, scene.bed.workstation, `umount '${visits}'`);
    }
    await expectUntouched();
  });

  it('home’s libvirt is gone: a sentence, and the VM runs on', async () => {
    // Else an ordinary user's client would start another at once.
    const show = await hide(scene, scene.bed.laptop, 'libvirtd');
    await scene.libvirtd.kill();
    try {
      const { code, hint } = await refusalOf(call('move.offload', { vm: 'worker' }));
      // An ordinary user's client waits in vain for the one it would start.
      expect(['libvirt', 'timeout']).toContain(code);
      expect(hint).toContain('homeward');
      await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
      const titles = (await call('doctor.run', {})).map(({ title }) => title).join('\n');
      expect(titles).toMatch(/VMs of qemu:\/\/\/\w+ are not watched|could not look/);
    } finally {
      await show();
      await scene.libvirtd.restart();
    }
    await scene.laptop.until('the VM to be watched again', 20_000, async () =>
      (await scene.laptop.vm('worker')).state === 'running' ? true : undefined,
    );
    await expectUntouched();
  });

  it('a second engine of the same user', async () => {
    const { code, stderr } = await scene.bed.laptop.run('node', [engine]);
    expect(code).toBe(1);
    expect(stderr).toContain('already running');
    expect(stderr).toContain('homeward engine stop');
    expect(stderr).not.toContain('    at ');
  });

  it('a peer nobody knows cannot be revoked', async () => {
    const { code, hint } = await refusalOf(call('peers.revoke', { fingerprint: nobody }));
    expect(code).toBe('not-paired');
    expect(hint).toContain('homeward peers');
  });

  it('one move at a time, none while away, no revocation of the host it is on', async () => {
    const { id } = await call('move.offload', { vm: 'worker' });
    const second = await refusalOf(call('move.offload', { vm: 'worker' }));
    expect(second.code).toBe('vm-busy');
    expect(second.hint).toContain('homeward cancel worker');
    expect((await call('move.wait', { id }, { timeoutMs: 60_000 })).phase).toBe('done');

    const out = await refusalOf(call('move.offload', { vm: 'worker' }));
    expect(out.code).toBe('vm-away');
    expect(out.message).toContain('workstation');
    expect(out.hint).toContain('homeward home worker');
    const revoke = await refusalOf(call('peers.revoke', { fingerprint: 'workstation' }));
    expect(revoke.code).toBe('vm-away');
    const release = await refusalOf(call('vm.release', { vm: 'worker' }));
    expect(release.code).toBe('vm-away');
    const off = await refusalOf(scene.workstation.client.call('host.configure', { enabled: false }));
    expect(off.code).toBe('refused');
    expect(off.hint).toContain('bring them home');

    // What is defined here meanwhile is for the next boot: a VM comes home as what it left as.
    const medium = join(scene.bed.laptop.folder, 'images', 'medium.iso');
    await writeFile(medium, Buffer.alloc(1024 * 1024));
    const attached = await scene.libvirtd.virsh(
      ...['attach-disk', 'worker', medium, 'sdb', '--type', 'cdrom', '--mode', 'readonly', '--config'],
    );
    expect(attached, attached.stderr).toMatchObject({ code: 0 });
    const home = await scene.laptop.move('home', 'worker');
    expect(home.phase).toBe('done');
    expect((await scene.libvirtd.virsh('dumpxml', 'worker')).stdout).not.toContain(medium);
    expect((await scene.libvirtd.virsh('dumpxml', '--inactive', 'worker')).stdout).toContain(medium);
    expect(await scene.libvirtd.virsh('detach-disk', 'worker', 'sdb', '--config')).toMatchObject({ code: 0 });
    await expectUntouched();
  });

  it('a host that does not know this laptop any more says so; pairing again helps', async () => {
    const [laptop] = await scene.workstation.client.call('peers.list', {});
    await scene.workstation.client.call('peers.revoke', { fingerprint: laptop?.fingerprint ?? '' });
    const { hint } = await scene.laptop.until('the host’s no', 15_000, async () => {
      const why = await refusalOf(call('move.offload', { vm: 'worker', host: 'workstation' }));
      return why.code === 'not-paired' ? why : undefined;
    });
    expect(hint).toContain('Pair');
    const details = (await call('doctor.run', {})).map(({ detail }) => detail).join('\n');
    expect(details).toContain('does not know this laptop');
    await call('peers.revoke', { fingerprint: 'workstation' });
    await pairEngines(scene.laptop, scene.workstation);
    await expectUntouched();
  });

  it('a host that lost its power: nothing begins, and the doctor names it', async () => {
    await scene.bed.workstation.powerOff();
    await scene.laptop.until('the link to be lost', 15_000, async () => {
      const [host] = await call('hosts.list', {});
      return host?.reachable === false ? true : undefined;
    });
    const named = await refusalOf(call('move.offload', { vm: 'worker', host: 'workstation' }));
    expect(named.code).toBe('host-unreachable');
    expect(named.hint).toContain('switched on');
    const any = await refusalOf(call('move.offload', { vm: 'worker' }));
    expect(any.code).toBe('host-unreachable');
    expect(any.message).toContain('No paired host answers');
    const titles = (await call('doctor.run', {})).map(({ title }) => title);
    expect(titles).toContain('workstation does not answer');
    expect((await scene.laptop.vm('worker')).state).toBe('running');
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
  });

  it('a damaged journal, settings, or record of a VM: the engine starts and the doctor names the file', async () => {
    await scene.laptop.stop();
    const { folder } = scene.bed.laptop;
    const state = join(folder, 'state/homeward');
    const config = join(folder, 'config/homeward');
    await mkdir(config, { recursive: true });
    await writeFile(join(config, 'settings.json'), '{ "policy": 3');
    await writeFile(join(state, 'journal.jsonl'), 'garbage\n{"also": "garbage"}\n', { flag: 'a' });
    await writeFile(join(state, 'vms', `${nobody}.json`), '{}');
    await scene.restartLaptop();
    const findings = await call('doctor.run', {});
    const details = findings.filter(({ severity }) => severity === 'problem').map(({ detail }) => detail);
    expect(details.join('\n')).toMatch(/settings\.json\.damaged-/);
    expect(details.join('\n')).toMatch(/journal\.jsonl\.damaged-/);
    expect(details.join('\n')).toContain(`${nobody}.json`);
    expect(findings.every(({ severity, remedy }) => severity !== 'problem' || remedy !== undefined)).toBe(true);
    expect((await scene.laptop.until('the VM', 10_000, () => scene.laptop.vm('worker'))).adopted).toBe(true);
  });

  it.each([
    ['identity.pem', 'paired again'],
    ['peers.json', 'paired again'],
  ])('a damaged %s: the engine does not start, and says which file and what to do', async (name, remedy) => {
    await scene.laptop.stop();
    const file = join(scene.bed.laptop.folder, 'state/homeward', name);
    const before = await readFile(file);
    await writeFile(file, 'garbage');
    const { code, stderr } = await scene.bed.laptop.run('node', [engine]);
    expect(code).toBe(1);
    expect(stderr).toContain(file);
    expect(stderr).toContain(remedy);
    expect(stderr).not.toContain('    at ');
    await writeFile(file, before);
    await scene.restartLaptop();
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
  });
});
