/**
 * `libvirt`: libvirt said no, with its own code and domain. `timeout`: no answer within the deadline, so whether
 * the call took effect is unknown. `closed`: the connection was closed by its owner. `unavailable`: libvirt's
 * library is missing or is not the one this binding was made for.
 */
export type LibvirtErrorKind = 'libvirt' | 'timeout' | 'closed' | 'unavailable';

/** virErrorNumber (libvirt/virterror.h): the ones a caller may want to tell apart. */
export const libvirtErrorCode = {
  INTERNAL_ERROR: 1,
  NO_SUPPORT: 3,
  NO_CONNECT: 5,
  INVALID_CONN: 6,
  INVALID_ARG: 8,
  OPERATION_FAILED: 9,
  XML_ERROR: 27,
  DOM_EXIST: 28,
  OPERATION_DENIED: 29,
  XML_DETAIL: 35,
  SYSTEM_ERROR: 38,
  RPC: 39,
  NO_DOMAIN: 42,
  AUTH_FAILED: 45,
  OPERATION_INVALID: 55,
  CONFIG_UNSUPPORTED: 67,
  OPERATION_TIMEOUT: 68,
  MIGRATE_PERSIST_FAILED: 69,
  ARGUMENT_UNSUPPORTED: 74,
  OPERATION_ABORTED: 78,
  MIGRATE_UNSAFE: 81,
  OPERATION_UNSUPPORTED: 84,
  AGENT_UNRESPONSIVE: 86,
  RESOURCE_BUSY: 87,
  ACCESS_DENIED: 88,
  CPU_INCOMPATIBLE: 91,
  XML_INVALID_SCHEMA: 92,
  MIGRATE_FINISH_OK: 93,
} as const;

/** virError without its pointers: what crosses from a worker. Level 1 is a warning, 2 an error. */
export interface LibvirtErrorReport {
  readonly kind: LibvirtErrorKind;
  readonly code: number;
  readonly domain: number;
  readonly level: number;
  readonly message: string;
}

export class LibvirtError extends Error {
  readonly kind: LibvirtErrorKind;
  /** virErrorNumber; 0 where the error is not libvirt's. */
  readonly code: number;
  /** virErrorDomain; 0 where the error is not libvirt's. */
  readonly domain: number;
  /** virErrorLevel. */
  readonly level: number;

  constructor(report: LibvirtErrorReport) {
    super(report.message);
    this.name = 'LibvirtError';
    this.kind = report.kind;
    this.code = report.code;
    this.domain = report.domain;
    this.level = report.level;
  }

  toReport(): LibvirtErrorReport {
    return { kind: this.kind, code: this.code, domain: this.domain, level: this.level, message: this.message };
  }
}

/** An error that is ours, not libvirt's. */
export function ownError(kind: Exclude<LibvirtErrorKind, 'libvirt'>, message: string): LibvirtError {
  return new LibvirtError({ kind, code: 0, domain: 0, level: 2, message });
}
