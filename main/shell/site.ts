import { readdirSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { HomewardError } from '../../shared/errors.ts';

export interface SiteFile {
  readonly type: string;
  readonly file: string;
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};

/**
 * The files of the window by the path they are asked for with. Nothing else can be named, so no path leads out of the
 * folder; what has a type we do not know is left out.
 */
export function siteFiles(folder: string): ReadonlyMap<string, SiteFile> {
  const found = new Map<string, SiteFile>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = types[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(join(folder, sep).length).replaceAll(sep, '/');
    found.set(`/${path}`, { type, file });
  }
  const index = found.get('/index.html');
  if (index !== undefined) found.set('/', index);
  return found;
}

/** The same for a folder that may be missing: a window that was not built is a fault, not an end. */
export function windowFiles(folder: string, onFault: (fault: HomewardError) => void): ReadonlyMap<string, SiteFile> {
  try {
    return siteFiles(folder);
  } catch (cause) {
    onFault(
      new HomewardError('internal', `The window is not built: ${folder} is missing.`, {
        hint: 'Build it: npm run build:window',
        cause,
      }),
    );
    return new Map();
  }
}
