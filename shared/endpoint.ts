/**
 * One end of a JSON-RPC 2.0 conversation in lines, the same for the engine's local socket (rpc.ts) and for the
 * link's control connection (wire.ts). Both ends may call and notify. Everything that arrives is parsed against
 * its schema before anything acts on it, and so are the results our own handlers give. No batches.
 */
import {
  createJSONRPCErrorResponse,
  createJSONRPCNotification,
  createJSONRPCRequest,
  createJSONRPCSuccessResponse,
  JSONRPCClient,
  JSONRPCErrorCode,
  type JSONRPCErrorResponse,
  type JSONRPCID,
  type JSONRPCRequest,
  type JSONRPCResponse,
  JSONRPCServer,
} from 'json-rpc-2.0';
import { z } from 'zod';
import { type ErrorReport, errorFrom, HomewardError, reportOf } from './errors.ts';
import { ErrorReportSchema, maxLineBytes } from './wire.ts';

export type CallTable = Readonly<Record<string, { readonly params: z.ZodType; readonly result: z.ZodType }>>;
export type NoticeTable = Readonly<Record<string, z.ZodType>>;

/** What answers the calls of `T`: one function per call, its params already checked. */
export type Handlers<T extends CallTable> = {
  readonly [K in keyof T]: (params: z.output<T[K]['params']>) => Awaitable<z.input<T[K]['result']>>;
};
/** What hears the notices of `T`. */
export type Listeners<T extends NoticeTable> = {
  readonly [K in keyof T]: (payload: z.output<T[K]>) => void;
};
type Awaitable<T> = T | Promise<T>;

/** As much of the standard AbortSignal as a call needs. */
interface Cancellation {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface CallOptions {
  /** Infinity waits until the connection ends. */
  readonly timeoutMs?: number | undefined;
  /** Stops waiting with `cancelled`; the other side is not told. */
  readonly signal?: Cancellation | undefined;
}

export interface EndpointOptions<
  Serves extends CallTable,
  Uses extends CallTable,
  Hears extends NoticeTable,
  Sends extends NoticeTable,
> {
  /** Calls the other side may make here. */
  readonly serves: Serves;
  readonly handlers: Handlers<Serves>;
  /** Calls made from here. */
  readonly uses: Uses;
  /** Notices the other side sends. */
  readonly hears: Hears;
  readonly listeners: Listeners<Hears>;
  /** Notices sent from here. */
  readonly sends: Sends;
  /** Deadline of a call that names none. */
  readonly timeoutMs: number;
  /** What the other side cannot be told, or only in part: an unexpected notice, a fault in a handler. For the log. */
  readonly onFault: (fault: HomewardError) => void;
}

export interface Endpoint<Uses extends CallTable, Sends extends NoticeTable> {
  /** Rejects with the HomewardError the other side reported, or `timeout`, `cancelled`, or what `close` was given. */
  call<K extends keyof Uses & string>(
    method: K,
    params: z.input<Uses[K]['params']>,
    options?: CallOptions,
  ): Promise<z.output<Uses[K]['result']>>;
  /** Dropped silently once closed. */
  notify<K extends keyof Sends & string>(name: K, payload: z.input<Sends[K]>): void;
  /** Rejects every call that waits and all later ones with `reason`; does not touch the transport. */
  close(reason: HomewardError): void;
}

/** An endpoint whose transport is the caller's business. */
export interface BareEndpoint<Uses extends CallTable, Sends extends NoticeTable> extends Endpoint<Uses, Sends> {
  /** Takes text as it arrives, cut anywhere. Throws `bad-input` for a line beyond maxLineBytes: end the connection. */
  receive(text: string): void;
}

/** As much of a Node socket as `endpointOver` needs. */
export interface LineSocket {
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  write(text: string): unknown;
  end(): unknown;
  destroy(): unknown;
  readonly destroyed: boolean;
  readonly writableLength: number;
}

/** Calls of the other side running at once; more are refused, not queued. */
const maxRunning = 256;
/** Unread text the other side may leave us holding before it counts as dead. */
const maxUnreadBytes = 8 * maxLineBytes;

const Id = z.union([z.string().max(100), z.number(), z.null()]);
const Request = z.object({
  jsonrpc: z.literal('2.0'),
  method: z.string().max(100),
  params: z.unknown().optional(),
  id: Id.optional(),
});
const Failure = z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() });
const Response = z.union([
  z.object({ jsonrpc: z.literal('2.0'), id: Id, error: Failure }),
  z.object({ jsonrpc: z.literal('2.0'), id: Id, result: z.unknown() }),
]);

export function createEndpoint<
  Serves extends CallTable,
  Uses extends CallTable,
  Hears extends NoticeTable,
  Sends extends NoticeTable,
>(
  options: EndpointOptions<Serves, Uses, Hears, Sends> & {
    /** Takes one line, its newline included. */
    readonly send: (line: string) => void;
  },
): BareEndpoint<Uses, Sends> {
  let closedBy: HomewardError | undefined;
  let running = 0;
  /** The line still arriving, in the pieces it came in: joining at each piece would cost its length squared. */
  let pieces: string[] = [];
  let piecesLength = 0;
  let lastId = 0;

  const post = (message: unknown): void => {
    if (closedBy === undefined) options.send(`${JSON.stringify(message)}\n`);
  };
  const client = new JSONRPCClient(post);
  const server = new JSONRPCServer({ errorListener: () => undefined });
  server.handleMethodNotFound = (request) =>
    Promise.resolve(
      request.id === undefined
        ? null
        : refusal(request.id, JSONRPCErrorCode.MethodNotFound, badInput(`There is no call named ${request.method}.`)),
    );
  for (const [method, schemas] of Object.entries(options.serves)) {
    const handler: ((params: unknown) => unknown) | undefined = Object.hasOwn(options.handlers, method)
      ? (options.handlers[method] as (params: unknown) => unknown)
      : undefined;
    if (handler === undefined) throw new HomewardError('internal', `No handler for ${method}.`);
    server.addMethodAdvanced(method, (request) => serve(request, schemas, handler));
  }
  for (const [name, schema] of Object.entries(options.hears)) {
    const listener = options.listeners[name] as (payload: unknown) => void;
    server.addMethodAdvanced(name, async (request) => {
      hear(request, schema, listener);
      return null;
    });
  }

  async function serve(
    request: JSONRPCRequest,
    schemas: CallTable[string],
    handler: (params: unknown) => unknown,
  ): Promise<JSONRPCResponse | null> {
    // Without an id nobody would learn how it went, so a call is never run as a notification.
    if (request.id === undefined) return null;
    const params = schemas.params.safeParse(request.params ?? {});
    if (!params.success) {
      const why = `${request.method} cannot use what it was given: ${wordsOf(params.error)}`;
      return refusal(request.id, JSONRPCErrorCode.InvalidParams, badInput(why));
    }
    if (running >= maxRunning) {
      const why = new HomewardError('refused', `More than ${maxRunning} calls at once on one connection.`);
      return refusal(request.id, JSONRPCErrorCode.InternalError, why);
    }
    running += 1;
    try {
      const result = schemas.result.parse(await handler(params.data));
      return createJSONRPCSuccessResponse(request.id, result);
    } catch (thrown) {
      if (!(thrown instanceof HomewardError)) {
        options.onFault(new HomewardError('internal', `${request.method} failed unexpectedly.`, { cause: thrown }));
      }
      return refusal(request.id, JSONRPCErrorCode.InternalError, thrown);
    } finally {
      running -= 1;
    }
  }

  function hear(request: JSONRPCRequest, schema: z.ZodType, listener: (payload: unknown) => void): void {
    const payload = schema.safeParse(request.params);
    if (!payload.success) {
      options.onFault(badInput(`Notice ${request.method} is not what was agreed: ${wordsOf(payload.error)}`));
      return;
    }
    try {
      listener(payload.data);
    } catch (thrown) {
      options.onFault(new HomewardError('internal', `Hearing ${request.method} failed.`, { cause: thrown }));
    }
  }

  function receiveLine(line: string): void {
    const message = parseJson(line);
    const response = Response.safeParse(message);
    if (response.success) {
      client.receive(response.data as JSONRPCResponse);
      return;
    }
    const request = Request.safeParse(message);
    if (!request.success) {
      const code = message === undefined ? JSONRPCErrorCode.ParseError : JSONRPCErrorCode.InvalidRequest;
      const why = badInput('This line is not a JSON-RPC 2.0 message.');
      post(refusal(null, code, why));
      options.onFault(why);
      return;
    }
    server.receive(request.data as JSONRPCRequest).then(
      (answer) => {
        if (answer !== null) post(answer);
      },
      (thrown: unknown) => options.onFault(new HomewardError('internal', 'Answering failed.', { cause: thrown })),
    );
  }

  return {
    async call(method, params, { timeoutMs = options.timeoutMs, signal } = {}) {
      const schemas = options.uses[method];
      if (schemas === undefined) throw badInput(`There is no call named ${method}.`);
      if (closedBy !== undefined) throw closedBy;
      if (signal?.aborted === true) throw new HomewardError('cancelled', `${method} was cancelled.`);
      lastId += 1;
      const id = lastId;
      const giveUp = (why: HomewardError): JSONRPCErrorResponse => refusal(id, JSONRPCErrorCode.InternalError, why);
      const requester = Number.isFinite(timeoutMs)
        ? client.timeout(timeoutMs, () =>
            giveUp(new HomewardError('timeout', `No answer to ${method} within ${timeoutMs} ms.`)),
          )
        : client;
      const onAbort = (): void => client.receive(giveUp(new HomewardError('cancelled', `${method} was cancelled.`)));
      signal?.addEventListener('abort', onAbort);
      try {
        const response = await requester.requestAdvanced(createJSONRPCRequest(id, method, params));
        if (response.error !== undefined) throw closedBy ?? errorIn(response);
        const result = schemas.result.safeParse(response.result);
        if (result.success) return result.data as z.output<(typeof schemas)['result']>;
        throw new HomewardError(
          'internal',
          `The answer to ${method} is not what was agreed: ${wordsOf(result.error)}`,
          {
            hint: 'Run the same version of Homeward on both sides.',
          },
        );
      } finally {
        signal?.removeEventListener('abort', onAbort);
      }
    },
    notify(name, payload) {
      post(createJSONRPCNotification(name, payload));
    },
    receive(text) {
      if (closedBy !== undefined) return;
      const [head = '', ...rest] = text.split('\n');
      pieces.push(head);
      piecesLength += head.length;
      for (const next of rest) {
        if (piecesLength > maxLineBytes) throw tooLong();
        const line = pieces.join('');
        pieces = [next];
        piecesLength = next.length;
        if (line.trim() !== '') receiveLine(line);
      }
      if (piecesLength > maxLineBytes) throw tooLong();
    },
    close(reason) {
      if (closedBy !== undefined) return;
      closedBy = reason;
      client.rejectAllPendingRequests(reason.message);
    },
  };
}

/**
 * An endpoint over a socket (net.Socket, tls.TLSSocket). The socket's end closes the endpoint; a line beyond
 * maxLineBytes, or a peer that leaves too much unread, ends the socket.
 */
export function endpointOver<
  Serves extends CallTable,
  Uses extends CallTable,
  Hears extends NoticeTable,
  Sends extends NoticeTable,
>(
  socket: LineSocket,
  options: EndpointOptions<Serves, Uses, Hears, Sends> & {
    /** What waiting calls are told when the socket ends. */
    readonly whenClosed: () => HomewardError;
  },
): Endpoint<Uses, Sends> {
  const endpoint = createEndpoint({
    ...options,
    send(line) {
      if (socket.destroyed) return;
      socket.write(line);
      if (socket.writableLength > maxUnreadBytes) socket.destroy();
    },
  });
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    try {
      endpoint.receive(text);
    } catch (thrown) {
      options.onFault(thrown instanceof HomewardError ? thrown : badInput(String(thrown)));
      socket.destroy();
    }
  });
  // Node throws an error event nobody listens to; `close` follows it and says all there is to say.
  socket.on('error', () => undefined);
  // Half a conversation is none, also where the socket would allow it.
  socket.on('end', () => socket.end());
  socket.on('close', () => endpoint.close(options.whenClosed()));
  return endpoint;
}

function refusal(id: JSONRPCID, code: JSONRPCErrorCode, thrown: unknown): JSONRPCErrorResponse {
  const report = reportOf(thrown);
  const clipped: ErrorReport = {
    ...report,
    message: report.message.slice(0, 2_000),
    ...(report.hint === undefined ? {} : { hint: report.hint.slice(0, 2_000) }),
  };
  return createJSONRPCErrorResponse(id, code, clipped.message, clipped);
}

function errorIn(response: JSONRPCErrorResponse): HomewardError {
  const report = ErrorReportSchema.safeParse(response.error.data);
  const { code, message, hint } = report.success
    ? report.data
    : { code: 'internal' as const, message: String(response.error.message).slice(0, 2_000), hint: undefined };
  return errorFrom({ code, message: printable(message), hint: hint === undefined ? undefined : printable(hint) });
}

/** Another machine's words may end on a terminal, which obeys control characters. */
function printable(words: string): string {
  return words.replaceAll(/[^\P{C}\n]/gu, ' ');
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function wordsOf(error: z.ZodError): string {
  return z.prettifyError(error).replaceAll('\n', ' ').slice(0, 1_000);
}

function badInput(message: string): HomewardError {
  return new HomewardError('bad-input', message);
}

function tooLong(): HomewardError {
  return badInput(`A line longer than ${maxLineBytes} characters.`);
}
