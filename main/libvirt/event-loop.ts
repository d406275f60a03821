/**
 * libvirt's event loop for the whole process.
 *
 * libvirt's default implementation runs on GLib's default main context, so a native thread that sits in
 * g_main_loop_run() drives it: it blocks in poll() when there is nothing to do, needs no JavaScript isolate, and
 * never makes a call that waits for a daemon. Its callbacks come out on the thread that loaded this module, while
 * the native thread waits; hence they copy what they need and return. A host program that runs GLib's default
 * context itself (a GTK or Electron main process) cannot use this module.
 */
import koffi from 'koffi';
import { ownError } from './error.ts';
import { ioErrorAction, type LibvirtEvent, lifecycleEvent } from './events.ts';
import { assertStructSizes, type CLong, type DomainPtr, load, type Pointer, symbol, vir } from './ffi.ts';
import { readJobStats } from './job.ts';
import { decodeParams, domainUuid, toNumber } from './native.ts';

/** Function pointers a worker registers on its connection, together with its token as the opaque value. */
export interface EventCallbacks {
  readonly closed: Pointer;
  /** virDomainEventID and the callback of the type that ID wants. */
  readonly domain: readonly (readonly [eventId: number, callback: Pointer])[];
}

export type TokenListener = (event: LibvirtEvent) => void;

const listeners = new Map<number, TokenListener>();
let users = 0;
let callbacks: EventCallbacks | undefined;
let loop: Pointer | undefined;

interface Glib {
  readonly newLoop: (context: null, isRunning: number) => Pointer;
  readonly newThread: (name: string, run: Pointer, data: Pointer) => Pointer | null;
  readonly quitLoop: (loop: Pointer) => void;
  readonly runLoop: Pointer;
}

let glib: Glib | undefined;

function loadGlib(): Glib {
  const lib = load('libglib-2.0.so.0');
  return {
    newLoop: lib.func('void *g_main_loop_new(void *context, int isRunning)'),
    newThread: lib.func('void *g_thread_new(const char *name, void *run, void *data)'),
    quitLoop: lib.func('void g_main_loop_quit(void *loop)'),
    runLoop: lib.symbol('g_main_loop_run'),
  };
}

function emit(opaque: Pointer | null, event: LibvirtEvent): void {
  const listener = listeners.get(Number(opaque));
  if (listener !== undefined) {
    // After the native thread has been let go.
    queueMicrotask(() => listener(event));
  }
}

/** A callback of libvirt's type `prototype`; what it throws must not reach C. */
function callback<A extends readonly unknown[]>(prototype: string, run: (...args: A) => void): Pointer {
  return koffi.register(
    (...args: A) => {
      try {
        run(...args);
      } catch (error) {
        process.emitWarning(`libvirt event lost: ${error instanceof Error ? error.message : error}`);
      }
      return 0;
    },
    koffi.pointer(koffi.proto(prototype)),
  );
}

function makeCallbacks(): EventCallbacks {
  const lifecycle = callback(
    'int HwLifecycle(void *conn, void *dom, int event, int detail, void *opaque)',
    (_conn: Pointer, domain: DomainPtr, event: number, detail: number, opaque: Pointer | null) => {
      const named = lifecycleEvent(event, detail);
      if (named !== undefined) {
        emit(opaque, { kind: 'lifecycle', uuid: domainUuid(domain), name: vir.domainName(domain) ?? '', ...named });
      }
    },
  );
  const ioError = callback(
    'void HwIoError(void *conn, void *dom, const char *path, const char *alias, int action, const char *reason, void *opaque)',
    (
      _conn: Pointer,
      domain: DomainPtr,
      path: string | null,
      alias: string | null,
      action: number,
      reason: string | null,
      opaque: Pointer | null,
    ) =>
      emit(opaque, {
        kind: 'ioError',
        uuid: domainUuid(domain),
        path: path ?? '',
        deviceAlias: alias ?? '',
        action: ioErrorAction(action),
        reason: reason ?? '',
      }),
  );
  const balloon = callback(
    'void HwBalloon(void *conn, void *dom, ulonglong actual, void *opaque)',
    (_conn: Pointer, domain: DomainPtr, actualKib: CLong, opaque: Pointer | null) =>
      emit(opaque, { kind: 'balloonChange', uuid: domainUuid(domain), actualBytes: toNumber(actualKib) * 1024 }),
  );
  const iteration = callback(
    'void HwIteration(void *conn, void *dom, int iteration, void *opaque)',
    (_conn: Pointer, domain: DomainPtr, number: number, opaque: Pointer | null) =>
      emit(opaque, { kind: 'migrationIteration', uuid: domainUuid(domain), iteration: number }),
  );
  const job = callback(
    'void HwJob(void *conn, void *dom, void *params, int nparams, void *opaque)',
    (_conn: Pointer, domain: DomainPtr, params: Pointer | null, count: number, opaque: Pointer | null) => {
      const completed = 3;
      const stats = readJobStats(completed, decodeParams(params, count));
      emit(opaque, { kind: 'jobCompleted', uuid: domainUuid(domain), stats });
    },
  );
  const closed = callback(
    'void HwClosed(void *conn, int reason, void *opaque)',
    (_conn: Pointer, _reason: number, opaque: Pointer | null) => emit(opaque, { kind: 'connection', state: 'lost' }),
  );
  return {
    closed,
    // virDomainEventID: LIFECYCLE, IO_ERROR_REASON, BALLOON_CHANGE, MIGRATION_ITERATION, JOB_COMPLETED.
    domain: [
      [0, lifecycle],
      [6, ioError],
      [13, balloon],
      [20, iteration],
      [21, job],
    ],
  };
}

/** Starts the loop for one more user. Connections must be opened afterwards, or they send no events. */
export function startEventLoop(): EventCallbacks {
  assertStructSizes();
  if (callbacks === undefined) {
    if (vir.initialize() < 0 || vir.registerDefaultEventLoop() < 0) {
      throw ownError('unavailable', 'libvirt could not be initialised');
    }
    // Without a handler libvirt prints each error; given NULL, virResetError does nothing.
    vir.setErrorFunc(null, symbol('virResetError'));
    callbacks = makeCallbacks();
    glib = loadGlib();
  }
  if (users === 0 && glib !== undefined) {
    loop = glib.newLoop(null, 0);
    if (glib.newThread('libvirt-events', glib.runLoop, loop) === null) {
      throw ownError('unavailable', 'the event thread could not be started');
    }
  }
  users += 1;
  return callbacks;
}

/** Ends the loop with its last user. */
export function stopEventLoop(): void {
  users -= 1;
  if (users === 0 && loop !== undefined) {
    glib?.quitLoop(loop);
    loop = undefined;
  }
}

/** Events whose callback was registered with `token` as opaque value go to `listener` until disposed. */
export function listen(token: number, listener: TokenListener): () => void {
  listeners.set(token, listener);
  return () => {
    listeners.delete(token);
  };
}
