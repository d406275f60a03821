import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);
const shots = fileURLToPath(new URL('../shots/', import.meta.url));
const screen = { width: 800, height: 480 };

/** A picture of the screen: three bytes a pixel, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Buffer;
}

/** A desktop of the test's own: display, message bus, window manager and a panel with a tray at the top left. */
export interface Desktop {
  readonly env: NodeJS.ProcessEnv;
  readonly busAddress: string;
  picture(): Promise<Picture>;
  /** Written to test/e2e/shots/. */
  keep(name: string): Promise<void>;
  click(x: number, y: number, button: number): Promise<void>;
  press(...keys: readonly string[]): Promise<void>;
}

/** @param env Where programs of the desktop find their folders; `XDG_RUNTIME_DIR` is the engine's, too. */
export async function startDesktop(env: NodeJS.ProcessEnv, panelIsDark: boolean): Promise<Desktop> {
  // Not under /tmp, which the hosts of a test bed have for themselves.
  const folder = await mkdtemp('/var/tmp/hw-desktop-');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'config');
  await mkdir(join(config, 'xfce4/xfconf/xfce-perchannel-xml'), { recursive: true });
  await writeFile(join(config, 'xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml'), panelSettings(panelIsDark));
  const own = {
    ...env,
    HOME: folder,
    XDG_CONFIG_HOME: config,
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_DATA_HOME: join(folder, 'data'),
    NO_AT_BRIDGE: '1',
    GTK_THEME: panelIsDark ? 'Adwaita:dark' : 'Adwaita',
  };
  const display = await startDisplay(own);
  const shown = { ...own, DISPLAY: display };
  // The bus starts xfconfd with the environment it has itself.
  const busAddress = await startBus(folder, shown);
  const full = { ...shown, DBUS_SESSION_BUS_ADDRESS: busAddress };
  start('openbox', [], full);
  start('xfce4-panel', ['--disable-wm-check'], full);
  return {
    env: full,
    busAddress,
    async picture() {
      const { stdout } = await run('import', ['-window', 'root', '-depth', '8', 'rgb:-'], {
        env: full,
        encoding: 'buffer',
        maxBuffer: screen.width * screen.height * 3,
      });
      return { ...screen, rgb: stdout };
    },
    async keep(name) {
      await mkdir(shots, { recursive: true });
      await run('import', ['-window', 'root', join(shots, `${name}.png`)], { env: full });
    },
    async click(x, y, button) {
      await run('xdotool', ['mousemove', String(x), String(y), 'click', String(button)], { env: full });
    },
    async press(...keys) {
      await run('xdotool', ['key', ...keys], { env: full });
    },
  };
}

async function startDisplay(env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(
    'Xvfb',
    ['-displayfd', '3', '-screen', '0', `${screen.width}x${screen.height}x24`, '-nolisten', 'tcp'],
    { env, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] },
  );
  endWithTest(child);
  const pipe = child.stdio[3];
  if (pipe === null || pipe === undefined) throw new Error('No pipe for the display’s number.');
  const [number] = (await once(pipe, 'data')) as [Buffer];
  return `:${number.toString().trim()}`;
}

async function startBus(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const args = ['--session', '--nofork', '--nopidfile', '--print-address=1', `--address=unix:path=${folder}/bus`];
  const child = spawn('dbus-daemon', args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  endWithTest(child);
  const [address] = (await once(child.stdout, 'data')) as [Buffer];
  return address.toString().trim();
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  endWithTest(spawn(program, args, { env, stdio: 'ignore' }));
}

function endWithTest(child: ChildProcess): void {
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  });
}

function panelSettings(dark: boolean): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="${dark}"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="icon-size" type="uint" value="22"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray"/>
  </property>
</channel>
`;
}
