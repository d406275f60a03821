import { Variant } from 'dbus-native';
import type { ShellAction, ShellNotification } from '../../../shared/view/index.ts';
import type { Bus } from '../../bus/index.ts';
import { asMarkup } from './markup.ts';

const name = 'org.freedesktop.Notifications';
const path = '/org/freedesktop/Notifications';
const urgency = { normal: 1, critical: 2 };

/**
 * Desktop notifications (Desktop Notifications Specification 1.2). Where no service shows any, nothing happens: the
 * tray and the window say the same.
 */
export class BusNotifications {
  readonly #session: Bus;
  readonly #act: (action: ShellAction) => void;
  /** The service's number for what is shown. */
  readonly #shown = new Map<string, { readonly number: number; readonly notification: ShellNotification }>();
  /** One at a time, so that a later one with the same id finds the number of the earlier. */
  #last: Promise<void> = Promise.resolve();
  /** Of the server that runs now; undefined until asked. */
  #canMarkUp: boolean | undefined;

  private constructor(session: Bus, act: (action: ShellAction) => void) {
    this.#session = session;
    this.#act = act;
  }

  static async open(session: Bus, act: (action: ShellAction) => void): Promise<BusNotifications> {
    const notifications = new BusNotifications(session, act);
    await session.onSignal(`type='signal',interface='${name}',path='${path}'`, ({ interface: iface, member, body }) => {
      if (iface === name) notifications.#hear(member, body);
    });
    return notifications;
  }

  show(notification: ShellNotification): void {
    this.#last = this.#last.then(() => this.#show(notification)).catch(() => undefined);
  }

  withdraw(id: string): void {
    this.#last = this.#last
      .then(async () => {
        const shown = this.#shown.get(id);
        this.#shown.delete(id);
        if (shown !== undefined) await this.#call('CloseNotification', 'u', [shown.number]);
      })
      .catch(() => undefined);
  }

  async #show(notification: ShellNotification): Promise<void> {
    const { id, title, body, urgent, buttons } = notification;
    if (this.#canMarkUp === undefined) {
      const capabilities = await this.#call('GetCapabilities');
      this.#canMarkUp = Array.isArray(capabilities) && capabilities.includes('body-markup');
    }
    const words = this.#canMarkUp ? asMarkup(body) : body;
    const actions = ['default', 'Open', ...buttons.flatMap(({ key, label }) => [key, label])];
    const number = await this.#call('Notify', 'susssasa{sv}i', [
      'Homeward',
      this.#shown.get(id)?.number ?? 0,
      'homeward',
      title,
      words,
      actions,
      {
        urgency: new Variant('y', urgent ? urgency.critical : urgency.normal),
        'desktop-entry': new Variant('s', 'homeward-desktop'),
      },
      // The service's own time for each urgency.
      -1,
    ]);
    if (typeof number === 'number') this.#shown.set(id, { number, notification });
  }

  #hear(member: string, [number, key]: readonly unknown[]): void {
    const entry = [...this.#shown].find(([, shown]) => shown.number === number);
    if (entry === undefined) return;
    const [id, { notification }] = entry;
    if (member === 'NotificationClosed') this.#shown.delete(id);
    if (member !== 'ActionInvoked') return;
    const button = notification.buttons.find((candidate) => candidate.key === key);
    if (button !== undefined) this.#act(button.action);
    else if (key === 'default') this.#act(notification.onClick);
  }

  #call(member: string, signature?: string, body?: unknown[]): Promise<unknown> {
    return this.#session.call(name, path, name, member, signature, body);
  }
}
