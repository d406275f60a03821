import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { HomewardError } from '../../../shared/errors.ts';
import type { WindowView } from '../../../shared/view/index.ts';
import { maxLineBytes } from '../../../shared/wire.ts';
import { peerUid } from '../../process/index.ts';
import { contentSecurityPolicy } from '../content-security.ts';
import type { ForWindows } from '../shell.ts';
import type { SiteFile } from '../site.ts';
import { oneLine } from '../window-server.ts';
import { Door } from './door.ts';
import { entryCss, entryHtml, entryScript } from './entry-page.ts';

export interface WebServerOptions extends ForWindows {
  readonly files: () => ReadonlyMap<string, SiteFile>;
  readonly door?: Door;
}

const TokenBody = z.object({ token: z.string().min(1).max(100) }).strict();
const maxBodyBytes = 1_024;
/** A browser opens a handful for each window; anybody on this computer may try to open more. */
const maxConnections = 256;
/** Unread text a window may leave us holding before it counts as dead. */
const maxUnreadBytes = 8 * maxLineBytes;

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
const plainText = 'text/plain; charset=utf-8';

const pages: Readonly<Record<string, { readonly type: string; readonly text: string }>> = {
  '/enter': { type: 'text/html; charset=utf-8', text: entryHtml },
  '/enter.css': { type: 'text/css; charset=utf-8', text: entryCss },
  '/enter.js': { type: 'text/javascript; charset=utf-8', text: entryScript },
};

/**
 * Serves the window to this user's browser, on loopback alone. Every request must name this very server (no DNS
 * rebinding), come from a process of this user and from no other site; all but the entry needs a session.
 */
export class WebServer {
  readonly #options: WebServerOptions;
  readonly #door: Door;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxLineBytes,
    perMessageDeflate: false,
    clientTracking: true,
  });
  /** Asked once per connection: the kernel's table is long. */
  readonly #ours = new WeakMap<Socket, Promise<boolean>>();
  #host = '';

  private constructor(options: WebServerOptions) {
    this.#options = options;
    this.#door = options.door ?? new Door();
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((thrown: unknown) => this.#failed(response, thrown));
    });
    this.#http.maxConnections = maxConnections;
    this.#http.on('upgrade', (request, socket, head) => {
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
  }

  static async listen(options: WebServerOptions): Promise<WebServer> {
    const server = new WebServer(options);
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    server.#host = `127.0.0.1:${(server.#http.address() as AddressInfo).port}`;
    return server;
  }

  get origin(): string {
    return `http://${this.#host}`;
  }

  /** Opens the window once, within a minute. A secret: for a browser or the user's own terminal. */
  newAddress(view: WindowView): string {
    const words = new URLSearchParams({ t: this.#door.newToken(), ...(view === 'overview' ? {} : { v: view }) });
    return `${this.origin}/enter#${words}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(1001, 'Homeward has ended.');
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeIdleConnections();
    setTimeout(() => {
      for (const socket of this.#sockets.clients) socket.terminate();
      this.#http.closeAllConnections();
    }, 500).unref();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = await this.#refusal(request);
    if (refusal !== undefined) return send(response, 403, plainText, refusal);
    const { method = '' } = request;
    const path = pathOf(request);
    if (method === 'POST') {
      return path === '/enter' ? this.#enter(request, response) : send(response, 405, plainText, 'Not here.');
    }
    if (method !== 'GET' && method !== 'HEAD') return send(response, 405, plainText, 'Only looked at.');
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page !== undefined) return send(response, 200, page.type, page.text, method === 'HEAD');
    if (!this.#hasSession(request)) return send(response, 403, plainText, 'Open the window with: homeward open');
    const files = this.#options.files();
    const file = files.get(path);
    if (file === undefined) {
      const built = files.has('/');
      const words = built ? 'There is no such page.' : 'The window is not built. Build it: npm run build:window';
      return send(response, 404, plainText, words);
    }
    response.writeHead(200, { ...headers, 'content-type': file.type });
    if (method === 'HEAD') return void response.end();
    const stream = createReadStream(file.file);
    stream.on('error', (error) => {
      this.#options.onFault(new HomewardError('internal', `A file of the window cannot be read: ${error.message}`));
      response.destroy();
    });
    stream.pipe(response);
  }

  async #enter(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.origin !== this.origin) return send(response, 403, plainText, 'Not from here.');
    const body = await bodyOf(request);
    const given = TokenBody.safeParse(body);
    const session = given.success ? this.#door.exchange(given.data.token) : undefined;
    if (session === undefined) {
      const words = 'This address was used already, or is older than a minute. Open a new window: homeward open';
      return send(response, 403, plainText, words);
    }
    response.setHeader('set-cookie', `${this.#cookieName}=${session}; Path=/; HttpOnly; SameSite=Strict`);
    send(response, 204, plainText, '');
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const allowed =
      (await this.#refusal(request)) === undefined &&
      request.headers.origin === this.origin &&
      pathOf(request) === '/socket' &&
      this.#hasSession(request);
    if (!allowed) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#serve(webSocket));
  }

  #serve(socket: WebSocket): void {
    const session = this.#options.connect((line) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(line.trimEnd());
      if (socket.bufferedAmount > maxUnreadBytes) socket.terminate();
    });
    this.#options.onWindows(this.#sockets.clients.size);
    socket.on('message', (data, isBinary) => {
      const line = isBinary ? undefined : oneLine(String(data));
      if (line === undefined) return socket.close(1003, 'One line a message.');
      session.receive(line);
    });
    // Too large a message, or one that is no UTF-8; `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      session.close();
      this.#options.onWindows(this.#sockets.clients.size);
    });
  }

  /** Why whoever asks is not listened to; undefined where it may be a window of ours. */
  async #refusal(request: IncomingMessage): Promise<string | undefined> {
    const { host, origin } = request.headers;
    if (host !== this.#host) return 'This is not the address of Homeward’s window.';
    if (origin !== undefined && origin !== this.origin) return 'Another site has no business here.';
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'Another site has no business here.';
    if (!(await this.#isOurs(request.socket))) return 'Another user has no business here.';
    return undefined;
  }

  #isOurs(socket: Socket): Promise<boolean> {
    const known = this.#ours.get(socket);
    if (known !== undefined) return known;
    const asked = peerUid(socket).then((uid) => uid !== undefined && uid === process.getuid?.());
    this.#ours.set(socket, asked);
    return asked;
  }

  /** Browsers give a cookie to every port of a host: the name keeps two shells from taking each other's away. */
  get #cookieName(): string {
    return `homeward-${this.#host.split(':').at(-1)}`;
  }

  #hasSession(request: IncomingMessage): boolean {
    const cookies = (request.headers.cookie ?? '').split(';').map((part) => part.trim());
    const prefix = `${this.#cookieName}=`;
    return cookies.some((cookie) => cookie.startsWith(prefix) && this.#door.isSession(cookie.slice(prefix.length)));
  }

  #failed(response: ServerResponse, cause: unknown): void {
    this.#options.onFault(new HomewardError('internal', 'A request of the window failed.', { cause }));
    if (response.headersSent) response.destroy();
    else send(response, 500, plainText, 'Something went wrong in Homeward.');
  }
}

/** Without the query, which means nothing here. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}

function send(response: ServerResponse, code: number, type: string, text: string, bare = false): void {
  response.writeHead(code, { ...headers, 'content-type': type });
  response.end(bare ? undefined : text);
}

/** Undefined for what is too long or no JSON. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
