import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Connectors of built-in panels (drm_connector.c's names). */
const builtIn = /^card\d+-(eDP|LVDS|DSI|DPI)-/;

/** Connected displays that are not built in; undefined where the kernel lists no connector. */
export async function externalDisplays(folder = '/sys/class/drm'): Promise<number | undefined> {
  const names = await readdir(folder).catch(() => []);
  const connectors = names.filter((name) => /^card\d+-/.test(name));
  if (connectors.length === 0) return undefined;
  const states = await Promise.all(
    connectors
      .filter((name) => !builtIn.test(name))
      .map((name) => readFile(join(folder, name, 'status'), 'utf8').catch(() => '')),
  );
  return states.filter((state) => state.trim() === 'connected').length;
}
