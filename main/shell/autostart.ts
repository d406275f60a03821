import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Desktop Application Autostart Specification 0.5: programs of a user's that a session starts. */
export class Autostart {
  readonly #command: readonly string[];
  readonly #file: string;

  /** @param command Starts this shell without a window. */
  constructor(command: readonly string[], file: string = autostartFile()) {
    this.#command = command;
    this.#file = file;
  }

  async isOn(): Promise<boolean> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    // What a desktop's own settings write into it to switch an entry off.
    return text !== undefined && !/^(Hidden=true|X-GNOME-Autostart-enabled=false)\s*$/m.test(text);
  }

  async set(on: boolean): Promise<void> {
    if (!on) return rm(this.#file, { force: true });
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
    const fresh = `${this.#file}.${process.pid}.tmp`;
    await writeFile(fresh, desktopEntry(this.#command), { mode: 0o644 });
    await rename(fresh, this.#file);
  }
}

function autostartFile(): string {
  const base = process.env['XDG_CONFIG_HOME'];
  return join(base?.startsWith('/') === true ? base : join(homedir(), '.config'), 'autostart/homeward.desktop');
}

function desktopEntry(command: readonly string[]): string {
  return [
    '[Desktop Entry]',
    'Type=Application',
    'Name=Homeward',
    'Comment=Your VM works away and comes home',
    `Exec=${command.map(quoted).join(' ')}`,
    'Icon=homeward',
    'Terminal=false',
    '',
  ].join('\n');
}

/**
 * Desktop Entry Specification, “The Exec key”: in double quotes, with the four characters a shell would read escaped, a
 * percent sign doubled, and backslashes doubled once more as in every string value.
 */
function quoted(word: string): string {
  const inQuotes = word.replaceAll(/["`$\\]/g, (character) => `\\${character}`);
  return `"${inQuotes.replaceAll('\\', '\\\\').replaceAll('%', '%%')}"`;
}
