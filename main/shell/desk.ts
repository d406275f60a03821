import { reportOf } from '../../shared/errors.ts';
import type { Status } from '../../shared/rpc.ts';
import {
  decisionNotification,
  moveNotification,
  notificationsBetween,
  pairingNotification,
  refusalNotification,
  type ShellAction,
  type ShellNotification,
  type TrayModel,
  trayModel,
  type WindowView,
} from '../../shared/view/index.ts';
import type { EngineLine } from './engine-line.ts';

/** What a kind of shell does for the desk: draws, and opens windows. */
export interface Surface {
  showTray(model: TrayModel): void;
  notify(notification: ShellNotification): void;
  /** A notification that is no longer true. */
  withdraw(id: string): void;
  open(view: WindowView): Promise<void>;
  startEngine(): Promise<void>;
  quit(): void;
}

/** Keeps tray and notifications as the engine tells, and carries out what is clicked there. */
export class Desk {
  readonly #engine: EngineLine;
  readonly #surface: Surface;
  readonly #unwatch: () => void;
  #status: Status | undefined;
  /** As JSON, to leave a panel alone while nothing it shows has changed. */
  #shownTray = '';
  readonly #shown = new Map<string, string>();

  constructor(engine: EngineLine, surface: Surface) {
    this.#engine = engine;
    this.#surface = surface;
    this.#unwatch = engine.watch({
      engine: () => this.#showTray(),
      status: (status) => this.#take(status),
      move: (move) => this.#notify((notify) => moveNotification(move, notify)),
      decision: (decision) => this.#notify((notify) => decisionNotification(decision, notify)),
      pairing: (pairing) => this.#notify((notify) => pairingNotification(pairing, notify)),
    });
  }

  close(): void {
    this.#unwatch();
  }

  /** For a tray that has come into being since. */
  showAgain(): void {
    this.#shownTray = '';
    this.#showTray();
  }

  /** Does what was clicked; says so where it cannot be done. */
  async act(action: ShellAction): Promise<void> {
    try {
      await this.#carryOut(action);
    } catch (thrown) {
      const { message, hint } = reportOf(thrown);
      this.#show(refusalNotification(message, hint));
    }
  }

  async #carryOut(action: ShellAction): Promise<void> {
    const engine = this.#engine;
    switch (action.do) {
      case 'offload':
        await engine.call('move.offload', {
          vm: action.vm,
          ...(action.host === undefined ? {} : { host: action.host }),
        });
        return;
      case 'home':
        await engine.call('move.home', { vm: action.vm });
        return;
      case 'wantHome':
        await engine.call('home.want', { vm: action.vm });
        return;
      case 'unwantHome':
        await engine.call('home.unwant', { vm: action.vm });
        return;
      case 'startHere':
        await engine.call('vm.restartHere', { vm: action.vm, start: true });
        return;
      case 'cancel':
        await engine.call('move.cancel', { vm: action.vm });
        return;
      case 'setLevel':
        await engine.call('vm.setLevel', { vm: action.vm, level: action.level });
        return;
      case 'dismiss':
        await engine.call('suggestion.dismiss', { vm: action.vm });
        return;
      case 'sendHome':
        await engine.call('visit.sendHome', { visit: action.visit });
        return;
      case 'open':
        return this.#surface.open(action.view);
      case 'startEngine':
        return this.#surface.startEngine();
      case 'quit':
        return this.#surface.quit();
    }
  }

  #take(status: Status): void {
    const before = this.#status;
    this.#status = status;
    this.#showTray();
    if (before === undefined) return;
    const { show, withdraw } = notificationsBetween(before, status);
    for (const notification of show) this.#show(notification);
    for (const id of withdraw) {
      if (this.#shown.delete(id)) this.#surface.withdraw(id);
    }
  }

  #showTray(): void {
    const model = trayModel(this.#engine.state, this.#engine.status);
    const text = JSON.stringify(model);
    if (text === this.#shownTray) return;
    this.#shownTray = text;
    this.#surface.showTray(model);
  }

  #notify(of: (notify: Status['preferences']['notify']) => ShellNotification | undefined): void {
    const notify = this.#engine.status?.preferences.notify;
    const notification = notify === undefined ? undefined : of(notify);
    if (notification !== undefined) this.#show(notification);
  }

  #show(notification: ShellNotification): void {
    const text = JSON.stringify(notification);
    // The engine may say the same twice; a second click that fails is a second answer.
    if (notification.id !== 'refusal' && this.#shown.get(notification.id) === text) return;
    this.#shown.set(notification.id, text);
    this.#surface.notify(notification);
  }
}
