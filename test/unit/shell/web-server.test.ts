import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { siteFiles } from '../../../main/shell/site.ts';
import { Door } from '../../../main/shell/web/door.ts';
import { WebServer } from '../../../main/shell/web/web-server.ts';
import { maxLineBytes } from '../../../shared/wire.ts';

interface Answer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Bed {
  readonly server: WebServer;
  readonly received: string[];
  readonly clock: { ms: number };
  windows: number;
  /** How many sessions have been closed. */
  closed: number;
  ask(options: RequestOptions & { readonly body?: string }): Promise<Answer>;
  /** A session's cookie, got as the entry page gets it. */
  enter(token?: string): Promise<string>;
  socket(headers: Record<string, string>, path?: string): WebSocket;
}

/** A server with a small window, and a browser that can be told to misbehave. */
async function bed(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'hw-web-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const site = join(folder, 'site');
  await writeFile(join(folder, 'secret.txt'), 'not for the window');
  await mkdir(join(site, 'assets'), { recursive: true });
  await writeFile(join(site, 'index.html'), '<!doctype html><script src="assets/a.js"></script>');
  await writeFile(join(site, 'assets/a.js'), 'document.title = "ready";');
  await writeFile(join(site, 'assets/unknown.exe'), '');
  const files = siteFiles(site);
  const clock = { ms: 0 };
  const received: string[] = [];
  const self: Partial<Bed> = { received, clock, windows: 0, closed: 0 };
  const server = await WebServer.listen({
    files: () => files,
    connect: (send) => {
      send('{"hello":1}\n');
      return {
        receive: (text) => void received.push(text),
        close() {
          made.closed += 1;
        },
      };
    },
    onWindows: (count) => {
      made.windows = count;
    },
    onFault: (fault) => {
      throw fault;
    },
    door: new Door(() => clock.ms),
  });
  onTestFinished(() => server.close());
  const { port, host } = new URL(server.origin);
  const made: Bed = Object.assign(self, {
    server,
    ask: ({ body, ...options }: RequestOptions & { readonly body?: string }) =>
      new Promise<Answer>((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => resolve({ code: response.statusCode ?? 0, headers: response.headers, text }));
        });
        asked.on('error', reject);
        asked.end(body);
      }),
    enter: async (token = tokenOf(server)) => {
      const answer = await made.ask({
        method: 'POST',
        path: '/enter',
        headers: { origin: server.origin },
        body: JSON.stringify({ token }),
      });
      if (answer.code !== 204) throw new Error(`${answer.code} ${answer.text}`);
      return String(answer.headers['set-cookie']?.[0]).split(';', 1)[0] ?? '';
    },
    socket: (headers: Record<string, string>, path = '/socket') =>
      new WebSocket(`ws://${host}${path}`, { headers, perMessageDeflate: false }),
  }) as Bed;
  return made;
}

function tokenOf(server: WebServer): string {
  return new URLSearchParams(new URL(server.newAddress('overview')).hash.slice(1)).get('t') ?? '';
}

async function refused(socket: WebSocket): Promise<string> {
  const [error] = (await once(socket, 'error')) as [Error];
  return error.message;
}

test('the address has its token behind a #, which no request and no log carries', async () => {
  const { server } = await bed();
  const address = new URL(server.newAddress('settings'));
  expect(address.origin).toBe(server.origin);
  expect(address.pathname + address.search).toBe('/enter');
  expect(address.hash).toMatch(/^#t=[\w-]{43}&v=settings$/);
});

test('a token is exchanged for a cookie that no script and no other site gets, and the window is served for it', async () => {
  const { ask, server, enter } = await bed();
  const answer = await ask({
    method: 'POST',
    path: '/enter',
    headers: { origin: server.origin },
    body: JSON.stringify({ token: tokenOf(server) }),
  });
  expect(answer.code).toBe(204);
  expect(answer.headers['set-cookie']?.[0]).toMatch(/^homeward-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  const cookie = await enter();
  const page = await ask({ path: '/', headers: { cookie } });
  expect(page).toMatchObject({ code: 200, text: expect.stringContaining('<script src="assets/a.js">') });
  const script = await ask({ path: '/assets/a.js', headers: { cookie } });
  expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8');
  const head = await ask({ method: 'HEAD', path: '/', headers: { cookie } });
  expect(head).toMatchObject({ code: 200, text: '' });
});

test('every answer carries the policy that allows the window’s own files alone, and none allows another origin', async () => {
  const { ask, enter } = await bed();
  const cookie = await enter();
  for (const path of ['/', '/enter', '/enter.js', '/nothing']) {
    const { headers } = await ask({ path, headers: { cookie } });
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    );
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['access-control-allow-origin']).toBeUndefined();
  }
});

test('without a session there is only the entry', async () => {
  const { ask } = await bed();
  expect((await ask({ path: '/' })).code).toBe(403);
  expect((await ask({ path: '/assets/a.js' })).code).toBe(403);
  expect((await ask({ path: '/', headers: { cookie: 'homeward-1=abc; homeward=' } })).code).toBe(403);
  expect((await ask({ path: '/enter' })).code).toBe(200);
});

test('a token is good once', async () => {
  const { server, enter } = await bed();
  const token = tokenOf(server);
  await enter(token);
  await expect(enter(token)).rejects.toThrow('403 This address was used already');
});

test('a token is good for a minute', async () => {
  const { server, enter, clock } = await bed();
  const token = tokenOf(server);
  clock.ms += 60_000;
  await expect(enter(token)).rejects.toThrow('older than a minute');
});

test.each([
  ['', '{}'],
  ['a guess', JSON.stringify({ token: 'a'.repeat(43) })],
  ['no JSON', 'token=x'],
  ['too much', JSON.stringify({ token: 'a'.repeat(2_000) })],
])('what is no token opens nothing: %s', async (_, body) => {
  const { ask, server } = await bed();
  const answer = await ask({ method: 'POST', path: '/enter', headers: { origin: server.origin }, body });
  expect(answer.code).toBe(403);
  expect(answer.headers['set-cookie']).toBeUndefined();
});

test.each([['evil.example'], ['localhost:1'], ['127.0.0.1'], ['evil.example:80']])(
  'a name that was made to point here is not answered: %s',
  async (host) => {
    const { ask, enter } = await bed();
    const cookie = await enter();
    expect((await ask({ path: '/', headers: { cookie, host } })).code).toBe(403);
    expect((await ask({ path: '/enter', headers: { host } })).code).toBe(403);
  },
);

test.each([
  [{ origin: 'http://evil.example' }],
  [{ origin: 'http://127.0.0.1:1' }],
  [{ origin: 'null' }],
  [{ 'sec-fetch-site': 'cross-site' }],
  [{ 'sec-fetch-site': 'same-site' }],
])('a page of another site is not answered: %o', async (headers) => {
  const { ask, enter, server } = await bed();
  const cookie = await enter();
  expect((await ask({ path: '/', headers: { cookie, ...headers } })).code).toBe(403);
  const post = { method: 'POST', path: '/enter', headers, body: JSON.stringify({ token: tokenOf(server) }) };
  expect((await ask(post)).code).toBe(403);
});

test('the entry is not given to a request that hides where it comes from', async () => {
  const { ask, server } = await bed();
  const answer = await ask({ method: 'POST', path: '/enter', body: JSON.stringify({ token: tokenOf(server) }) });
  expect(answer.code).toBe(403);
});

test.each(['PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is not known', async (method) => {
  const { ask, enter } = await bed();
  expect((await ask({ method, path: '/', headers: { cookie: await enter() } })).code).toBe(405);
});

test('only the entry takes a POST', async () => {
  const { ask, enter } = await bed();
  expect((await ask({ method: 'POST', path: '/', headers: { cookie: await enter() } })).code).toBe(405);
});

test.each([
  '/../secret.txt',
  '/assets/../../secret.txt',
  '/%2e%2e/secret.txt',
  '/..%2fsecret.txt',
  '/assets/..\\..\\secret.txt',
  '//secret.txt',
  '/assets/unknown.exe',
  '/assets',
  '/__proto__',
  '/constructor',
])('no path leads out of the window’s folder: %s', async (path) => {
  const { ask, enter } = await bed();
  const answer = await ask({ path, headers: { cookie: await enter() } });
  expect(answer.code).toBe(404);
  expect(answer.text).not.toContain('not for the window');
});

test('a window’s socket carries one line a message, both ways', async () => {
  const { socket, enter, server, received } = await bed();
  const window = socket({ cookie: await enter(), origin: server.origin });
  const [hello] = (await once(window, 'message')) as [Buffer];
  expect(String(hello)).toBe('{"hello":1}');
  window.send('{"x":1}');
  window.send('{"y":1}\n');
  await expect.poll(() => received).toEqual(['{"x":1}\n', '{"y":1}\n']);
  window.send('two\nlines');
  const [code] = await once(window, 'close');
  expect(code).toBe(1003);
  expect(received).toHaveLength(2);
});

test('a message that is too large ends the socket, and nobody reads it', async () => {
  const { socket, enter, server, received } = await bed();
  const window = socket({ cookie: await enter(), origin: server.origin });
  await once(window, 'message');
  window.send('x'.repeat(maxLineBytes + 1));
  const [code] = await once(window, 'close');
  expect(code).toBe(1009);
  expect(received).toEqual([]);
});

test('windows are counted as they come and go', async () => {
  const made = await bed();
  const window = made.socket({ cookie: await made.enter(), origin: made.server.origin });
  await once(window, 'message');
  expect(made.windows).toBe(1);
  window.close();
  await expect.poll(() => [made.windows, made.closed]).toEqual([0, 1]);
});

test('a socket is not opened for another site, another name, another path, or without a session', async () => {
  const { socket, enter, server } = await bed();
  const cookie = await enter();
  const good = { cookie, origin: server.origin };
  expect(await refused(socket({ ...good, origin: 'http://evil.example' }))).toContain('403');
  expect(await refused(socket({ cookie }))).toContain('403');
  expect(await refused(socket({ ...good, host: 'evil.example' }))).toContain('403');
  expect(await refused(socket({ origin: server.origin }))).toContain('403');
  expect(await refused(socket({ ...good, cookie: 'homeward-1=x' }))).toContain('403');
  expect(await refused(socket(good, '/other'))).toContain('403');
  expect(await refused(socket({ ...good, 'sec-fetch-site': 'cross-site' }))).toContain('403');
});
