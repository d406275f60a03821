/** virDomainMigrate3 with typed flags and parameters. */

const flagBits = {
  live: 1 << 0,
  peer2peer: 1 << 1,
  persistDest: 1 << 3,
  undefineSource: 1 << 4,
  paused: 1 << 5,
  nonSharedDisk: 1 << 6,
  nonSharedInc: 1 << 7,
  changeProtection: 1 << 8,
  unsafe: 1 << 9,
  compressed: 1 << 11,
  abortOnError: 1 << 12,
  autoConverge: 1 << 13,
  postcopy: 1 << 15,
  parallel: 1 << 17,
  nonSharedSynchronousWrites: 1 << 18,
  postcopyResume: 1 << 19,
} as const;

/** virDomainMigrateFlags. With `peer2peer` it is the source's daemon that connects to `destinationUri`. */
export type MigrateFlag = keyof typeof flagBits;

export interface MigrateRequest {
  readonly sourceUri: string;
  readonly destinationUri: string;
  /** Seconds between keepalive probes of either daemon, 0 for none; default 5. With `peer2peer` the source's alone counts. */
  readonly sourceKeepAliveIntervalS?: number;
  readonly destinationKeepAliveIntervalS?: number;
  readonly uuid: string;
  readonly flags: readonly MigrateFlag[];
  /** Where QEMU's stream goes: VIR_MIGRATE_PARAM_URI, e.g. `unix:///folder/name.sock`. */
  readonly migrateUri?: string;
  /** Where non-shared disks go: VIR_MIGRATE_PARAM_DISKS_URI. */
  readonly disksUri?: string;
  /** Live definition at the destination; only host-side parts may differ. */
  readonly destinationXml?: string;
  readonly destinationName?: string;
  /** With `persistDest`: the definition stored at the destination. */
  readonly persistentXml?: string;
  readonly bandwidthMiBps?: number;
  readonly postcopyBandwidthMiBps?: number;
  /** With `parallel`. */
  readonly parallelConnections?: number;
  /** With `nonSharedDisk` or `nonSharedInc`: targets to copy; all that are not shared where absent. */
  readonly migrateDisks?: readonly string[];
}

export function migrateFlagBits(flags: readonly MigrateFlag[]): number {
  return flags.reduce((bits, flag) => bits | flagBits[flag], 0);
}

export type MigrateParam =
  | readonly [type: 'string', name: string, value: string]
  | readonly [type: 'ulonglong' | 'int', name: string, value: number];

/** VIR_MIGRATE_PARAM_*, in libvirt's types. */
export function migrateParams(request: MigrateRequest): readonly MigrateParam[] {
  const string = (name: string, value: string | undefined): readonly MigrateParam[] =>
    value === undefined ? [] : [['string', name, value]];
  const number = (type: 'ulonglong' | 'int', name: string, value: number | undefined): readonly MigrateParam[] =>
    value === undefined ? [] : [[type, name, value]];
  return [
    ...string('migrate_uri', request.migrateUri),
    ...string('disks_uri', request.disksUri),
    ...string('destination_xml', request.destinationXml),
    ...string('destination_name', request.destinationName),
    ...string('persistent_xml', request.persistentXml),
    ...number('ulonglong', 'bandwidth', request.bandwidthMiBps),
    ...number('ulonglong', 'bandwidth.postcopy', request.postcopyBandwidthMiBps),
    ...number('int', 'parallel.connections', request.parallelConnections),
    // A list is the same parameter several times.
    ...(request.migrateDisks ?? []).flatMap((disk) => string('migrate_disks', disk)),
  ];
}
