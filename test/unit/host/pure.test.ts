import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { guestSupport, hostModelCpu } from '../../../main/host/capabilities.ts';
import { etcFiles, supervisorScript } from '../../../main/host/inside.ts';
import { busyCoresBetween, busyTicks, processTicks } from '../../../main/host/machine.ts';
import { postcopyObstacle } from '../../../main/host/postcopy.ts';
import { bwrapArguments } from '../../../main/host/sandbox.ts';
import { nextVisitState, type VisitState } from '../../../main/host/visit-state.ts';

describe('the state of a visit', () => {
  const running = { running: true, incoming: false };
  const paused = { running: false, incoming: false };
  const incoming = { running: false, incoming: true };
  it.each<[VisitState, typeof running | undefined, VisitState]>([
    ['empty', undefined, 'empty'],
    ['empty', incoming, 'incoming'],
    ['incoming', undefined, 'empty'],
    ['incoming', running, 'running'],
    ['running', paused, 'paused'],
    ['running', incoming, 'paused'],
    ['paused', running, 'running'],
    ['running', undefined, 'gone'],
    ['paused', undefined, 'gone'],
    ['gone', running, 'gone'],
  ])('that was %s and shows %o is %s', (before, seen, after) => {
    expect(nextVisitState(before, seen)).toBe(after);
  });
});

describe('post-copy', () => {
  const debian12 = { libvirtVersion: 9_000_000, qemuVersion: 7_002_022 };
  const newer = { libvirtVersion: 10_001_000, qemuVersion: 8_000_000 };
  it.each([
    [{ sysctl: true, device: false }, debian12, true],
    [{ sysctl: false, device: true }, debian12, false],
    [{ sysctl: false, device: true }, newer, true],
    [{ sysctl: false, device: false }, newer, false],
  ])('with %o and %o: %s', (access, versions, possible) => {
    expect(postcopyObstacle(access, versions) === undefined).toBe(possible);
  });
});

describe('the load of the machine', () => {
  it('leaves idle, iowait and guest time out', () => {
    expect(busyTicks('cpu  10 20 30 400 500 6 7 8 90 100\ncpu0 1 1 1 1')).toBe(10 + 20 + 30 + 6 + 7 + 8);
  });
  it('counts a process and its ended children, whatever its name', () => {
    const rest = Array.from({ length: 20 }, (_, index) => (index >= 11 && index <= 14 ? 5 : 0))
      .join(' ')
      .slice(1);
    expect(processTicks(`7 (a) b (c) S${rest}`)).toBe(20);
  });
  it('is cores’ worth of work, within what is there', () => {
    const at = (atMs: number, busySeconds: number) => ({ atMs, busySeconds });
    expect(busyCoresBetween(at(0, 0), at(2_000, 3), 4)).toBe(1.5);
    expect(busyCoresBetween(at(0, 0), at(1_000, 9), 4)).toBe(4);
    // A process that ended took its time with it.
    expect(busyCoresBetween(at(0, 5), at(1_000, 4), 4)).toBe(0);
    expect(busyCoresBetween(at(5, 0), at(5, 4), 4)).toBe(0);
  });
});

describe('capabilities', () => {
  const xml = `<capabilities><host><cpu><arch>x86_64</arch></cpu></host>
    <guest><os_type>hvm</os_type><arch name='i686'><emulator>/usr/bin/qemu-system-i386</emulator><machine>isapc</machine></arch></guest>
    <guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/usr/bin/qemu-system-x86_64</emulator>
      <machine maxCpus='255'>pc-i440fx-7.2</machine><machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
      <machine canonical='pc-q35-7.2' maxCpus='288'>q35</machine><machine>microvm</machine>
      <domain type='qemu'/></arch></guest></capabilities>`;
  it('name the machine types that aliases stand for, of the own architecture', () => {
    expect(guestSupport(xml)).toEqual({
      arch: 'x86_64',
      emulator: '/usr/bin/qemu-system-x86_64',
      machineTypes: ['pc-i440fx-7.2', 'pc-q35-7.2', 'microvm'],
    });
  });
  it('without QEMU are a missing tool', () => {
    const none = `<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>`;
    expect(() => guestSupport(none)).toThrow(expect.objectContaining({ code: 'missing-tool' }));
  });
  it('give the host model as a CPU of its own', () => {
    const caps = `<domainCapabilities><cpu><mode name='custom' supported='yes'><model>x</model></mode>
      <mode name='host-model' supported='yes'><model fallback='forbid'>EPYC</model><vendor>AMD</vendor><feature policy='require' name='a&amp;b'/><feature policy='disable' name='svm'/></mode></cpu></domainCapabilities>`;
    expect(hostModelCpu(caps)).toBe(
      '<cpu><model fallback="forbid">EPYC</model><vendor>AMD</vendor><feature policy="require" name="a&amp;b"/><feature policy="disable" name="svm"/></cpu>',
    );
    expect(() =>
      hostModelCpu(caps.replace("name='host-model' supported='yes'", "name='host-model' supported='no'")),
    ).toThrow(expect.objectContaining({ code: 'incompatible' }));
  });
});

describe('the sandbox', () => {
  const args = bwrapArguments(
    { hostname: 'visit-1', etc: '/v/etc', home: '/v/hw', up: '/v/up', devices: ['/dev/kvm'], command: ['true'] },
    [{ path: '/bin', linkTo: 'usr/bin' }, { path: '/lib64' }],
  );
  it('binds for writing nothing but the visit’s own folder', () => {
    const writable = args.flatMap((argument, at) => (argument === '--bind' ? [args[at + 1]] : []));
    expect(writable).toEqual(['/v/hw']);
  });
  it('shares no namespace with the host', () => {
    for (const one of ['user', 'pid', 'net', 'ipc', 'uts']) expect(args).toContain(`--unshare-${one}`);
    expect(args).not.toContain('--share-net');
    expect(args).not.toContain('--die-with-parent');
  });
  it('keeps in memory what libvirtd must be able to write on a full disk', () => {
    const inMemory = args.flatMap((argument, at) => (argument === '--tmpfs' ? [String(args[at + 1])] : []));
    expect(inMemory).toEqual(expect.arrayContaining(['/hw/run/libvirt/qemu', '/hw/config/libvirt/qemu/lib']));
    // What is bound later would cover it.
    for (const folder of inMemory.filter((one) => one.startsWith('/hw/'))) {
      expect(args.indexOf(folder)).toBeGreaterThan(args.indexOf('/v/hw'));
    }
  });
  it('resolves its own name without asking anybody', () => {
    expect(etcFiles('visit-1')['hosts']).toMatch(/^127\.0\.0\.1 .*\bvisit-1$/m);
  });
});

describe('the supervisor', () => {
  it('is a script the shell understands, whatever is in an argument', () => {
    const script = supervisorScript({
      caches: [['nbdkit', "it's; $(reboot) `reboot`"]],
      plain: [['libvirtd']],
      maxFileBytes: 1_000_000,
    });
    execFileSync('/bin/sh', ['-n'], { input: script });
    const said = execFileSync('/bin/sh', ['-s'], {
      input: script.replace(
        /^keep\(\) \{.*?^\}/ms,
        'keep() { line=; for one; do line="$line$one|"; done; printf "%s\\n" "$line"; }',
      ),
      encoding: 'utf8',
    });
    expect(said.split('\n').sort()).toEqual([
      '',
      "nbdkit|it's; $(reboot) `reboot`|",
      'prlimit|--fsize=1000000|libvirtd|',
    ]);
  });
});
