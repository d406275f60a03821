import { HomewardError } from '../../shared/errors.ts';
import type { ShellAction, WindowView } from '../../shared/view/index.ts';
import type { ShellFacts } from '../../shared/window.ts';
import { Bus } from '../bus/index.ts';
import type { OpenedWindow } from '../client/index.ts';
import type { Autostart } from './autostart.ts';
import { Desk } from './desk.ts';
import { BusNotifications } from './desktop/bus-notifications.ts';
import { BusTray } from './desktop/bus-tray.ts';
import { EngineLine } from './engine-line.ts';
import { ensureEngine } from './start-engine.ts';
import { type ShellHandlers, serveWindow, type WindowSession } from './window-server.ts';

/** What a kind of shell is made of: how it shows windows. */
export interface Windows {
  readonly kind: ShellFacts['kind'];
  /** An address where the window has to be opened by hand. */
  open(view: WindowView): Promise<{ readonly address?: string }>;
  /** How long after its last window was closed that counts: a page that is loaded anew is away for a moment. */
  readonly reloadMs: number;
  close(): Promise<void>;
}

/** What windows need of the shell they belong to. */
export interface ForWindows {
  /** A window has connected. */
  readonly connect: (send: (line: string) => void) => WindowSession;
  /** How many windows there are, each time that changes. */
  readonly onWindows: (count: number) => void;
  readonly onFault: (fault: HomewardError) => void;
}

export interface ShellOptions {
  readonly windows: (shell: ForWindows) => Promise<Windows>;
  readonly autostart: Autostart;
  readonly onFault: (fault: HomewardError) => void;
  /** For the log: what happened that nobody asked for. */
  readonly note: (words: string) => void;
  /** Ends the process. */
  readonly onQuit: () => void;
}

/**
 * Window, tray and notifications of one user, whoever shows the windows. Tray and notifications go over D-Bus in every
 * kind of shell, so they are the same code and the same menu.
 */
export class Shell {
  readonly #options: ShellOptions;
  readonly #engine: EngineLine;
  readonly #desk: Desk;
  #opener: Windows | undefined;
  #session: Bus | undefined;
  #tray: BusTray | undefined;
  #notifications: BusNotifications | undefined;
  #windows = 0;
  #hadWindow = false;
  #lonely: NodeJS.Timeout | undefined;
  #hadTray = false;
  #quitting = false;

  private constructor(options: ShellOptions) {
    this.#options = options;
    this.#engine = new EngineLine(options.onFault);
    this.#desk = new Desk(this.#engine, {
      showTray: (model) => this.#tray?.show(model),
      notify: (notification) => this.#notifications?.show(notification),
      withdraw: (id) => this.#notifications?.withdraw(id),
      open: (view) => this.#openFromDesk(view),
      startEngine: () => this.startEngine(),
      quit: () => this.quit(),
    });
  }

  static async start(options: ShellOptions): Promise<Shell> {
    const shell = new Shell(options);
    const { onFault } = options;
    shell.#opener = await options.windows({
      connect: (send) => serveWindow(shell.#engine, shell.#handlers(), send, onFault),
      onWindows: (count) => shell.#count(count),
      onFault,
    });
    await shell.#joinDesktop();
    shell.#engine.start();
    return shell;
  }

  /** Whether an icon is shown in a tray now. */
  get hasTray(): boolean {
    return this.#tray?.shown === true;
  }

  /** Starts an engine where none runs. */
  startEngine(): Promise<void> {
    return ensureEngine(this.#engine);
  }

  /** Opens a window; where that takes a person, the answer has its address. */
  async open(view: WindowView): Promise<OpenedWindow> {
    const { address } = await this.#windowsOpener().open(view);
    const facts = await this.#facts();
    return address === undefined ? { facts } : { facts, address };
  }

  quit(): void {
    if (this.#quitting) return;
    this.#quitting = true;
    // What asked for the end is answered first.
    setImmediate(() => {
      void this.close().then(this.#options.onQuit);
    });
  }

  async close(): Promise<void> {
    this.#quitting = true;
    clearTimeout(this.#lonely);
    this.#desk.close();
    await this.#opener?.close();
    await this.#engine.close();
    await this.#session?.close();
  }

  #windowsOpener(): Windows {
    if (this.#opener === undefined) throw new HomewardError('internal', 'The shell is only just starting.');
    return this.#opener;
  }

  async #facts(): Promise<ShellFacts> {
    return {
      kind: this.#windowsOpener().kind,
      tray: this.hasTray,
      startAtLogin: await this.#options.autostart.isOn(),
    };
  }

  #handlers(): ShellHandlers {
    return {
      'shell.facts': () => this.#facts(),
      'shell.setStartAtLogin': async ({ on }) => {
        await this.#options.autostart.set(on);
        return this.#facts();
      },
      'shell.startEngine': async () => {
        await this.startEngine();
        return {};
      },
      'shell.quit': () => {
        this.quit();
        return {};
      },
    };
  }

  async #joinDesktop(): Promise<void> {
    this.#session = await Bus.session();
    if (this.#session === undefined) return;
    const act = (action: ShellAction): void => void this.#desk.act(action);
    this.#notifications = await BusNotifications.open(this.#session, act);
    this.#tray = await BusTray.open(this.#session, act, (shown) => this.#onTray(shown));
    this.#desk.showAgain();
    void this.#session.closed.then(() => {
      this.#tray = undefined;
      this.#notifications = undefined;
      this.#onTray(false);
    });
  }

  #onTray(shown: boolean): void {
    if (this.#quitting) return;
    if (this.#hadTray && !shown) this.#options.note('The tray has gone; its icon is back when the tray is.');
    this.#hadTray = shown;
    this.#endIfLonely();
  }

  async #openFromDesk(view: WindowView): Promise<void> {
    const { address } = await this.open(view);
    if (address === undefined) return;
    throw new HomewardError('missing-tool', 'No browser could be opened.', {
      hint: 'Name yours in $BROWSER, or run in a terminal: homeward open',
    });
  }

  #count(windows: number): void {
    this.#windows = windows;
    this.#hadWindow ||= windows > 0;
    this.#endIfLonely();
  }

  /** With neither a window nor a tray nobody could reach it any more. One that never had a window waits for one. */
  #endIfLonely(): void {
    clearTimeout(this.#lonely);
    this.#lonely = undefined;
    if (this.#windows > 0 || !this.#hadWindow || this.#quitting) return;
    const stays = this.hasTray && this.#engine.status?.preferences.closeToTray !== false;
    if (stays) return;
    this.#lonely = setTimeout(() => {
      this.#options.note('The last window was closed. The engine goes on; for a new window: homeward open');
      this.quit();
    }, this.#windowsOpener().reloadMs);
  }
}
