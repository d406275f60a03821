/**
 * The C functions of libvirt.so.0 and libvirt-qemu.so.0 with TypeScript signatures. Every call here blocks its
 * thread; only the workers may make those that talk to a daemon. koffi's pointers are plain BigInts: a wrong one
 * crashes the process, hence the brands.
 */
import koffi, { type LibraryHandle } from 'koffi';
import { ownError } from './error.ts';

export type Pointer = bigint;
export type ConnectPtr = bigint & { readonly brand: 'virConnectPtr' };
export type DomainPtr = bigint & { readonly brand: 'virDomainPtr' };
/** A one-element array that C writes into. */
export type Out<T> = [T];
export type CLong = number | bigint;

export interface NodeInfoStruct {
  readonly model: string;
  readonly memory: CLong;
  readonly cpus: number;
  readonly mhz: number;
  readonly nodes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}

export interface BlockJobStruct {
  readonly type: number;
  readonly bandwidth: CLong;
  readonly cur: CLong;
  readonly end: CLong;
}

export interface ErrorStruct {
  readonly code: number;
  readonly domain: number;
  readonly message: string | null;
  readonly level: number;
}

export interface TypedParameterStruct {
  readonly field: string;
  readonly type: number;
  readonly value: Uint8Array;
}

export interface StatsRecordStruct {
  readonly dom: DomainPtr;
  readonly params: Pointer | null;
  readonly nparams: number;
}

export function load(name: string): LibraryHandle {
  try {
    return koffi.load(name);
  } catch (cause) {
    throw ownError('unavailable', `${name} could not be loaded: ${cause instanceof Error ? cause.message : cause}`);
  }
}

const lib = load('libvirt.so.0');
const fn = (prototype: string) => lib.func(prototype);

export const structs = {
  typedParameter: koffi.struct('virTypedParameter', {
    field: koffi.array('char', 80, 'String'),
    type: 'int',
    pad: 'int',
    value: koffi.array('uint8', 8, 'Typed'),
  }),
  statsRecord: koffi.struct('virDomainStatsRecord', { dom: 'void *', params: 'void *', nparams: 'int' }),
  error: koffi.struct('virError', {
    code: 'int',
    domain: 'int',
    message: 'char *',
    level: 'int',
    conn: 'void *',
    dom: 'void *',
    str1: 'char *',
    str2: 'char *',
    str3: 'char *',
    int1: 'int',
    int2: 'int',
    net: 'void *',
  }),
  nodeInfo: koffi.struct('virNodeInfo', {
    model: koffi.array('char', 32, 'String'),
    memory: 'ulong',
    cpus: 'uint',
    mhz: 'uint',
    nodes: 'uint',
    sockets: 'uint',
    cores: 'uint',
    threads: 'uint',
  }),
  blockJobInfo: koffi.struct('virDomainBlockJobInfo', {
    type: 'int',
    bandwidth: 'ulong',
    cur: 'ulonglong',
    end: 'ulonglong',
  }),
} as const;

const expectedSizes = { typedParameter: 96, statsRecord: 24, error: 80 } as const;

/** A struct laid out wrongly gives plausible wrong values instead of an error, so it is checked before any call. */
export function assertStructSizes(): void {
  for (const [name, expected] of Object.entries(expectedSizes)) {
    const size = koffi.sizeof(structs[name as keyof typeof expectedSizes]);
    if (size !== expected) {
      throw ownError('unavailable', `struct ${name} is ${size} bytes here, libvirt's has ${expected}`);
    }
  }
}

const libcLib = load('libc.so.6');

export const libc = {
  free: libcLib.func('void free(void *)') as (pointer: Pointer) => void,
  getpeername: libcLib.func('int getpeername(int fd, _Out_ uint8_t *address, _Inout_ uint *length)') as (
    fd: number,
    address: Uint8Array,
    length: Out<number>,
  ) => number,
  shutdown: libcLib.func('int shutdown(int fd, int how)') as (fd: number, how: number) => number,
} as const;

export const vir = {
  registerDefaultEventLoop: fn('int virEventRegisterDefaultImpl()') as () => number,
  setErrorFunc: fn('void virSetErrorFunc(void *userData, void *handler)') as (userData: null, handler: Pointer) => void,
  initialize: fn('int virInitialize()') as () => number,
  getLastError: fn('void *virGetLastError()') as () => Pointer | null,
  getVersion: fn('int virGetVersion(_Out_ ulong *lib, const char *type, void *typeVersion)') as (
    version: Out<CLong>,
    type: null,
    typeVersion: null,
  ) => number,

  open: fn('void *virConnectOpen(const char *uri)') as (uri: string) => ConnectPtr | null,
  openReadOnly: fn('void *virConnectOpenReadOnly(const char *uri)') as (uri: string) => ConnectPtr | null,
  close: fn('int virConnectClose(void *c)') as (conn: ConnectPtr) => number,
  isAlive: fn('int virConnectIsAlive(void *c)') as (conn: ConnectPtr) => number,
  setKeepAlive: fn('int virConnectSetKeepAlive(void *c, int interval, uint count)') as (
    conn: ConnectPtr,
    intervalS: number,
    count: number,
  ) => number,
  registerClose: fn('int virConnectRegisterCloseCallback(void *c, void *cb, void *opaque, void *ff)') as (
    conn: ConnectPtr,
    callback: Pointer,
    opaque: bigint,
    free: null,
  ) => number,
  unregisterClose: fn('int virConnectUnregisterCloseCallback(void *c, void *cb)') as (
    conn: ConnectPtr,
    callback: Pointer,
  ) => number,
  registerEvent: fn('int virConnectDomainEventRegisterAny(void *c, void *d, int id, void *cb, void *o, void *ff)') as (
    conn: ConnectPtr,
    domain: null,
    eventId: number,
    callback: Pointer,
    opaque: bigint,
    free: null,
  ) => number,
  deregisterEvent: fn('int virConnectDomainEventDeregisterAny(void *c, int callbackId)') as (
    conn: ConnectPtr,
    callbackId: number,
  ) => number,

  hypervisorVersion: fn('int virConnectGetVersion(void *c, _Out_ ulong *v)') as (
    conn: ConnectPtr,
    version: Out<CLong>,
  ) => number,
  daemonVersion: fn('int virConnectGetLibVersion(void *c, _Out_ ulong *v)') as (
    conn: ConnectPtr,
    version: Out<CLong>,
  ) => number,
  hostname: fn('void *virConnectGetHostname(void *c)') as (conn: ConnectPtr) => Pointer | null,
  capabilities: fn('void *virConnectGetCapabilities(void *c)') as (conn: ConnectPtr) => Pointer | null,
  domainCapabilities: fn(
    'void *virConnectGetDomainCapabilities(void *c, const char *e, const char *a, const char *m, const char *v, uint fl)',
  ) as (
    conn: ConnectPtr,
    emulator: string | null,
    arch: string,
    machine: string | null,
    virtType: string,
    flags: number,
  ) => Pointer | null,
  nodeInfo: fn('int virNodeGetInfo(void *c, _Out_ virNodeInfo *i)') as (
    conn: ConnectPtr,
    info: Partial<NodeInfoStruct>,
  ) => number,
  compareCpu: fn(
    'int virConnectCompareHypervisorCPU(void *c, const char *e, const char *a, const char *m, const char *v, const char *x, uint fl)',
  ) as (
    conn: ConnectPtr,
    emulator: string | null,
    arch: string | null,
    machine: string | null,
    virtType: string | null,
    cpuXml: string,
    flags: number,
  ) => number,
  baselineCpu: fn(
    'void *virConnectBaselineHypervisorCPU(void *c, const char *e, const char *a, const char *m, const char *v, const char **x, uint n, uint fl)',
  ) as (
    conn: ConnectPtr,
    emulator: string | null,
    arch: string | null,
    machine: string | null,
    virtType: string | null,
    cpuXmls: readonly string[],
    count: number,
    flags: number,
  ) => Pointer | null,

  listAllDomains: fn('int virConnectListAllDomains(void *c, _Out_ void **doms, uint flags)') as (
    conn: ConnectPtr,
    domains: Out<Pointer | null>,
    flags: number,
  ) => number,
  lookupByUuid: fn('void *virDomainLookupByUUIDString(void *c, const char *u)') as (
    conn: ConnectPtr,
    uuid: string,
  ) => DomainPtr | null,
  lookupByName: fn('void *virDomainLookupByName(void *c, const char *n)') as (
    conn: ConnectPtr,
    name: string,
  ) => DomainPtr | null,
  domainFree: fn('int virDomainFree(void *d)') as (domain: DomainPtr) => number,
  domainName: fn('const char *virDomainGetName(void *d)') as (domain: DomainPtr) => string | null,
  domainId: fn('uint virDomainGetID(void *d)') as (domain: DomainPtr) => number,
  domainUuid: fn('int virDomainGetUUIDString(void *d, _Out_ uint8_t *buf)') as (
    domain: DomainPtr,
    buffer: Uint8Array,
  ) => number,
  domainState: fn('int virDomainGetState(void *d, _Out_ int *state, _Out_ int *reason, uint flags)') as (
    domain: DomainPtr,
    state: Out<number>,
    reason: Out<number>,
    flags: number,
  ) => number,
  isPersistent: fn('int virDomainIsPersistent(void *d)') as (domain: DomainPtr) => number,
  domainXml: fn('void *virDomainGetXMLDesc(void *d, uint flags)') as (
    domain: DomainPtr,
    flags: number,
  ) => Pointer | null,
  defineXml: fn('void *virDomainDefineXMLFlags(void *c, const char *x, uint flags)') as (
    conn: ConnectPtr,
    xml: string,
    flags: number,
  ) => DomainPtr | null,
  createXml: fn('void *virDomainCreateXML(void *c, const char *x, uint flags)') as (
    conn: ConnectPtr,
    xml: string,
    flags: number,
  ) => DomainPtr | null,
  undefine: fn('int virDomainUndefineFlags(void *d, uint flags)') as (domain: DomainPtr, flags: number) => number,
  create: fn('int virDomainCreateWithFlags(void *d, uint flags)') as (domain: DomainPtr, flags: number) => number,
  destroy: fn('int virDomainDestroy(void *d)') as (domain: DomainPtr) => number,
  shutdown: fn('int virDomainShutdown(void *d)') as (domain: DomainPtr) => number,
  suspend: fn('int virDomainSuspend(void *d)') as (domain: DomainPtr) => number,
  resume: fn('int virDomainResume(void *d)') as (domain: DomainPtr) => number,

  snapshotNum: fn('int virDomainSnapshotNum(void *d, uint flags)') as (domain: DomainPtr, flags: number) => number,

  allStats: fn('int virConnectGetAllDomainStats(void *c, uint groups, _Out_ void **records, uint flags)') as (
    conn: ConnectPtr,
    groups: number,
    records: Out<Pointer | null>,
    flags: number,
  ) => number,
  statsFree: fn('void virDomainStatsRecordListFree(void *r)') as (records: Pointer) => void,
  memoryStats: fn('int virDomainMemoryStats(void *d, _Out_ uint8_t *stats, uint n, uint flags)') as (
    domain: DomainPtr,
    stats: Uint8Array,
    count: number,
    flags: number,
  ) => number,
  setMemory: fn('int virDomainSetMemoryFlags(void *d, ulong kib, uint flags)') as (
    domain: DomainPtr,
    kib: number,
    flags: number,
  ) => number,
  setMemoryStatsPeriod: fn('int virDomainSetMemoryStatsPeriod(void *d, int seconds, uint flags)') as (
    domain: DomainPtr,
    seconds: number,
    flags: number,
  ) => number,
  startDirtyRateCalc: fn('int virDomainStartDirtyRateCalc(void *d, int seconds, uint flags)') as (
    domain: DomainPtr,
    seconds: number,
    flags: number,
  ) => number,
  blockJobInfo: fn(
    'int virDomainGetBlockJobInfo(void *d, const char *disk, _Out_ virDomainBlockJobInfo *i, uint fl)',
  ) as (domain: DomainPtr, disk: string, info: Partial<BlockJobStruct>, flags: number) => number,

  jobStats: fn('int virDomainGetJobStats(void *d, _Out_ int *type, _Out_ void **params, _Out_ int *n, uint flags)') as (
    domain: DomainPtr,
    type: Out<number>,
    params: Out<Pointer | null>,
    count: Out<number>,
    flags: number,
  ) => number,
  abortJob: fn('int virDomainAbortJobFlags(void *d, uint flags)') as (domain: DomainPtr, flags: number) => number,
  startPostCopy: fn('int virDomainMigrateStartPostCopy(void *d, uint flags)') as (
    domain: DomainPtr,
    flags: number,
  ) => number,
  setMaxSpeed: fn('int virDomainMigrateSetMaxSpeed(void *d, ulong mib, uint flags)') as (
    domain: DomainPtr,
    mebibytesPerSec: number,
    flags: number,
  ) => number,
  setMaxDowntime: fn('int virDomainMigrateSetMaxDowntime(void *d, ulonglong ms, uint flags)') as (
    domain: DomainPtr,
    downtimeMs: number,
    flags: number,
  ) => number,
  migrate3: fn('void *virDomainMigrate3(void *d, void *dconn, void *params, uint n, uint flags)') as (
    domain: DomainPtr,
    destination: ConnectPtr,
    params: Pointer | null,
    count: number,
    flags: number,
  ) => DomainPtr | null,
  migrateToUri3: fn('int virDomainMigrateToURI3(void *d, const char *dconnuri, void *params, uint n, uint flags)') as (
    domain: DomainPtr,
    destinationUri: string,
    params: Pointer | null,
    count: number,
    flags: number,
  ) => number,
  paramsAddString: fn(
    'int virTypedParamsAddString(_Inout_ void **p, _Inout_ int *n, _Inout_ int *max, const char *name, const char *v)',
  ) as (params: Out<Pointer | null>, count: Out<number>, max: Out<number>, name: string, value: string) => number,
  paramsAddULLong: fn(
    'int virTypedParamsAddULLong(_Inout_ void **p, _Inout_ int *n, _Inout_ int *max, const char *name, ulonglong v)',
  ) as (params: Out<Pointer | null>, count: Out<number>, max: Out<number>, name: string, value: number) => number,
  paramsAddInt: fn(
    'int virTypedParamsAddInt(_Inout_ void **p, _Inout_ int *n, _Inout_ int *max, const char *name, int v)',
  ) as (params: Out<Pointer | null>, count: Out<number>, max: Out<number>, name: string, value: number) => number,
  paramsFree: fn('void virTypedParamsFree(void *p, int n)') as (params: Pointer, count: number) => void,
} as const;

/** Address of a symbol of libvirt.so.0, to be handed to C as a function pointer. */
export function symbol(name: string): Pointer {
  return lib.symbol(name);
}

const qemuLib = load('libvirt-qemu.so.0');

export const virQemu = {
  monitorCommand: qemuLib.func(
    'int virDomainQemuMonitorCommand(void *d, const char *cmd, _Out_ void **result, uint flags)',
  ) as (domain: DomainPtr, command: string, result: Out<Pointer | null>, flags: number) => number,
  agentCommand: qemuLib.func('void *virDomainQemuAgentCommand(void *d, const char *cmd, int timeoutS, uint flags)') as (
    domain: DomainPtr,
    command: string,
    timeoutS: number,
    flags: number,
  ) => Pointer | null,
} as const;
