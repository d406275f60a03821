/** Opening a connection inside a worker, with notice of the sockets it came to own. */
import { LibvirtError, type LibvirtErrorReport } from './error.ts';
import { type ConnectPtr, vir } from './ffi.ts';
import type { SocketNotice } from './messages.ts';
import { present } from './native.ts';
import { socketsTo } from './sockets.ts';

export interface OpenOptions {
  readonly uri: string;
  readonly readOnly: boolean;
  readonly keepAliveIntervalS: number;
}

/** Probes that may go unanswered before libvirt gives a connection up. */
const keepAliveMisses = 5;

export function open(options: OpenOptions, notify: (notice: SocketNotice) => void): ConnectPtr {
  const before = socketsTo([options.uri]);
  notify({ kind: 'opening', before: [...before.keys()] });
  const conn = options.readOnly
    ? present('virConnectOpenReadOnly', vir.openReadOnly(options.uri))
    : present('virConnectOpen', vir.open(options.uri));
  const owned = [...socketsTo([options.uri]).keys()].filter((inode) => !before.has(inode));
  notify({ kind: 'opened', owned });
  if (options.keepAliveIntervalS > 0) {
    // Drivers inside this process know no keepalive and say so; nothing is lost.
    vir.setKeepAlive(conn, options.keepAliveIntervalS, keepAliveMisses);
  }
  return conn;
}

/** The error as a worker reports it; what is not libvirt's keeps its message. */
export function reportFailure(thrown: unknown): LibvirtErrorReport {
  if (thrown instanceof LibvirtError) {
    return thrown.toReport();
  }
  return {
    kind: 'unavailable',
    code: 0,
    domain: 0,
    level: 2,
    message: thrown instanceof Error ? thrown.message : String(thrown),
  };
}
