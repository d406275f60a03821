/**
 * What a visit finds in its sandbox: its own few lines of /etc, libvirtd's configuration, and the script that keeps
 * its programs running. Texts only; who writes them is visit.ts.
 */

/** Paths as the visit sees them. */
export const insidePaths = {
  /** The one folder a visit may write to, besides /tmp and its migration folder. */
  home: '/hw',
  /** Sockets the engine listens on, and what must not be changed from inside; read-only. */
  up: '/up',
  /** The same below the outer folder that is bound at `home`. */
  libvirtSocket: ['run', 'libvirt', 'libvirt-sock'],
} as const;

/**
 * Where libvirtd keeps the status of its domain, the sockets and keys of its QEMU, and QEMU's log. It must be able to write them
 * at every step of a move, or it ends the VM; so they are in memory, whatever else fills the disk.
 */
export const statusFolders: readonly string[] = [
  'run/libvirt/qemu',
  'config/libvirt/qemu/lib',
  'config/libvirt/qemu/channel',
  'cache/libvirt/qemu/log',
].map((folder) => `${insidePaths.home}/${folder}`);

export const user = { name: 'visitor', uid: 1000 } as const;

/** Loopback port, in the visit's own network namespace, that stands for guest NIC `nic`. */
export function nicPort(nic: number): number {
  return 7_000 + nic;
}

export const insideEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: insidePaths.home,
  TMPDIR: `${insidePaths.home}/tmp`,
  LANG: 'C.UTF-8',
  XDG_RUNTIME_DIR: `${insidePaths.home}/run`,
  XDG_CONFIG_HOME: `${insidePaths.home}/config`,
  XDG_CACHE_HOME: `${insidePaths.home}/cache`,
  XDG_DATA_HOME: `${insidePaths.home}/data`,
};

/** File name → text, for the sandbox's /etc. `hostname` must resolve there at once, or libvirt waits for a resolver. */
export function etcFiles(hostname: string): Record<string, string> {
  return {
    passwd: `root:x:0:0::/:/usr/sbin/nologin\n${user.name}:x:${user.uid}:${user.uid}::${insidePaths.home}:/usr/sbin/nologin\n`,
    group: `root:x:0:\n${user.name}:x:${user.uid}:\n`,
    hosts: `127.0.0.1 localhost ${hostname}\n`,
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\n',
  };
}

/** libvirt refuses to migrate between equal host UUIDs, so each visit has its own. */
export function libvirtdConf(hostUuid: string): string {
  return [
    `host_uuid = "${hostUuid}"`,
    `log_outputs = "3:file:${insidePaths.home}/libvirtd.log"`,
    // The link has a heartbeat of its own, and a lost link must not end a recovery that is under way.
    'keepalive_interval = -1',
    '',
  ].join('\n');
}

/** The sandbox around libvirtd confines more than these drivers could; none of them works without privileges. */
export function qemuConf(): string {
  return [
    'stdio_handler = "file"',
    'security_driver = "none"',
    'namespaces = [ ]',
    'cgroup_controllers = [ ]',
    'remember_owner = 0',
    '',
  ].join('\n');
}

/** More processes than this are no accident. The kernel does not hold root's to it, so the watch looks as well. */
export const maxProcesses = 1_024;

/** What the sandbox runs first; prlimit(1), since shells differ in their ulimit. */
export const supervisorCommand: readonly string[] = [
  'prlimit',
  '--core=0',
  `--nproc=${maxProcesses}`,
  '/bin/sh',
  `${insidePaths.up}/supervise.sh`,
];

export interface Programs {
  readonly plain: readonly (readonly string[])[];
  /** Largest file a plain program may write, guest memory in a file or memfd included. */
  readonly maxFileBytes: number;
  /** May write larger ones: the cache bounds itself. */
  readonly caches: readonly (readonly string[])[];
}

/** POSIX shell that runs each program again whenever it ends. QEMU is libvirtd's child but outlives it. */
export function supervisorScript(programs: Programs): string {
  const limited = (command: readonly string[]) => ['prlimit', `--fsize=${programs.maxFileBytes}`, ...command];
  const commands = [...programs.caches, ...programs.plain.map(limited)];
  return `#!/bin/sh
keep() {
  while :; do
    "$@" </dev/null >/dev/null 2>&1
    sleep 0.3
  done
}
${commands.map((command) => `keep ${command.map(shellWord).join(' ')} &`).join('\n')}
wait
`;
}

/** Frames between QEMU's socket NIC, which wants TCP, and the engine's UNIX socket. */
export function nicEnd(nic: number): string[] {
  return [
    'socat',
    `TCP-LISTEN:${nicPort(nic)},bind=127.0.0.1,reuseaddr,fork`,
    `UNIX-CONNECT:${insidePaths.up}/${nicSocketName(nic)}`,
  ];
}

export function nicSocketName(nic: number): string {
  return `n${nic}.sock`;
}

export function diskSocketName(index: number): string {
  return `d${index}.sock`;
}

function shellWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
