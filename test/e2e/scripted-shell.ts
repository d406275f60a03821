import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type WebSocket, WebSocketServer } from 'ws';
import { contentSecurityPolicy } from '../../main/shell/content-security.ts';
import { type BareEndpoint, createEndpoint, type Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Pairing, Status } from '../../shared/rpc.ts';
import {
  type EngineState,
  type WindowCalls,
  type WindowEvents,
  windowCalls,
  windowEvents,
} from '../../shared/window.ts';

/** What the shell and the engine behind it answer; a call that is not in the script fails. */
export type Script = Partial<Handlers<WindowCalls>>;

type End = BareEndpoint<Record<string, never>, WindowEvents>;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const pages = fileURLToPath(new URL('../../dist-window', import.meta.url));

/** The built window behind a real policy, and its socket with answers out of a script. */
export class ScriptedShell {
  readonly asked: { readonly call: string; readonly params: unknown }[] = [];
  script: Script;
  status: Status;
  #engine: EngineState = 'up';
  readonly #ends = new Map<WebSocket, End>();
  #server: Server | undefined;
  #port = 0;

  constructor(status: Status, script: Script = {}) {
    this.status = status;
    this.script = script;
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Also after `close`, at the same port. */
  async open(): Promise<void> {
    const server = createServer(async (request, response) => {
      const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
      const file = join(pages, path === '/' ? 'index.html' : path);
      const body = await readFile(file).catch(() => undefined);
      response.writeHead(body === undefined ? 404 : 200, {
        'content-type': types[extname(file)] ?? 'application/octet-stream',
        'content-security-policy': contentSecurityPolicy,
      });
      response.end(body);
    });
    const sockets = new WebSocketServer({ server, path: '/socket' });
    sockets.on('connection', (socket) => this.#welcome(socket));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#ends.keys()) socket.terminate();
    server.closeAllConnections();
    await closed;
  }

  tellStatus(change: Partial<Status>): void {
    this.status = { ...this.status, ...change };
    if (this.#engine !== 'up') return;
    for (const end of this.#ends.values()) end.notify('status', this.status);
  }

  tellMove(move: Move): void {
    for (const end of this.#ends.values()) end.notify('move', move);
  }

  tellPairing(pairing: Pairing): void {
    for (const end of this.#ends.values()) end.notify('pairing', pairing);
  }

  setEngine(state: EngineState): void {
    this.#engine = state;
    for (const end of this.#ends.values()) this.#tellEngine(end);
  }

  /** Params of each time `call` was asked. */
  paramsOf(call: keyof WindowCalls): unknown[] {
    return this.asked.filter((asked) => asked.call === call).map(({ params }) => params);
  }

  #welcome(socket: WebSocket): void {
    const end: End = createEndpoint({
      serves: windowCalls,
      handlers: this.#handlers(),
      uses: {},
      hears: {},
      listeners: {},
      sends: windowEvents,
      timeoutMs: 10_000,
      onFault: (fault) => console.error(fault),
      send: (line) => socket.send(line.trimEnd()),
    });
    this.#ends.set(socket, end);
    socket.on('message', (data) => {
      const line = String(data);
      // As strict as the real one: one line a message.
      if (line.includes('\n')) socket.close(1003);
      else end.receive(`${line}\n`);
    });
    socket.on('close', () => this.#ends.delete(socket));
    this.#tellEngine(end);
  }

  #tellEngine(end: End): void {
    end.notify('engine', { state: this.#engine });
    if (this.#engine === 'up') end.notify('status', this.status);
  }

  #handlers(): Handlers<WindowCalls> {
    const answer = (call: string) => (params: unknown) => {
      this.asked.push({ call, params });
      if (this.#engine !== 'up' && !call.startsWith('shell.')) {
        throw new HomewardError('engine-not-running', 'The engine is not running.');
      }
      if (call === 'engine.status') return this.status;
      const answers = this.script as Record<string, ((params: unknown) => unknown) | undefined>;
      const scripted = answers[call];
      if (scripted === undefined) throw new HomewardError('internal', `${call} is not in the script.`);
      return scripted(params);
    };
    return Object.fromEntries(
      Object.keys(windowCalls).map((call) => [call, answer(call)]),
    ) as unknown as Handlers<WindowCalls>;
  }
}
