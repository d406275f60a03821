import { pathToFileURL } from 'node:url';
import { app, net, protocol, session } from 'electron';
import { contentSecurityPolicy } from '../content-security.ts';
import type { SiteFile } from '../site.ts';

const scheme = 'homeward';
const host = 'window';
export const windowOrigin = `${scheme}://${host}`;

/** Before the app is ready, as Electron wants it: the window's own scheme has an origin, so that `'self'` means it. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([{ scheme, privileges: { standard: true, secure: true } }]);
}

/** Nothing but the window's own files is shown, asked for, or opened. */
export function lockDown(files: ReadonlyMap<string, SiteFile>): void {
  protocol.handle(scheme, (request) => answer(request, files));
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, decide) => decide(false));
  session.defaultSession.setPermissionCheckHandler(() => false);
  app.on('web-contents-created', (_event, contents) => {
    contents.setWindowOpenHandler(() => ({ action: 'deny' }));
    contents.on('will-navigate', (event) => event.preventDefault());
    contents.on('will-frame-navigate', (event) => event.preventDefault());
    contents.on('will-redirect', (event) => event.preventDefault());
    contents.on('will-attach-webview', (event) => event.preventDefault());
  });
}

async function answer(request: Request, files: ReadonlyMap<string, SiteFile>): Promise<Response> {
  const url = new URL(request.url);
  const file = url.host === host && request.method === 'GET' ? files.get(url.pathname) : undefined;
  if (file === undefined) {
    const words = files.has('/') ? 'There is no such page.' : 'The window is not built. Build it: npm run build:window';
    return new Response(words, { status: 404, headers: headersOf('text/plain; charset=utf-8') });
  }
  const { body } = await net.fetch(pathToFileURL(file.file).href);
  return new Response(body, { headers: headersOf(file.type) });
}

function headersOf(type: string): Record<string, string> {
  return {
    'content-type': type,
    'content-security-policy': contentSecurityPolicy,
    'x-content-type-options': 'nosniff',
  };
}
