import { defineInterface } from 'dbus-native';
import type { ShellAction, TrayIcon, TrayModel } from '../../../shared/view/index.ts';
import type { Bus } from '../../bus/index.ts';
import { argb32 } from '../icon/formats.ts';
import { drawTrayIcon } from '../icon/tray-icon.ts';
import { BusMenu, menuPath } from './bus-menu.ts';
import { asMarkup } from './markup.ts';

const watcherName = 'org.kde.StatusNotifierWatcher';
const watcherPath = '/StatusNotifierWatcher';
const itemName = 'org.kde.StatusNotifierItem';
const itemPath = '/StatusNotifierItem';
/** From a small panel to one on a screen of double density. */
const sizes = [16, 22, 24, 32, 48];

type Pixmap = [width: number, height: number, argb: Buffer];

/**
 * A tray icon over D-Bus: org.kde.StatusNotifierItem with its menu. Registers with the desktop's watcher whenever one
 * appears, so it is back after a panel has been restarted.
 */
export class BusTray {
  readonly #session: Bus;
  readonly #act: (action: ShellAction) => void;
  readonly #emit: ReturnType<typeof defineInterface>['emit'] = {};
  readonly #onPresence: (shown: boolean) => void;
  #menu: BusMenu | undefined;
  #model: TrayModel = { icon: { state: 'engine-off' }, tooltip: 'Homeward', menu: [] };
  #pixmaps: readonly Pixmap[] = [];
  #shown = false;

  private constructor(session: Bus, act: (action: ShellAction) => void, onPresence: (shown: boolean) => void) {
    this.#session = session;
    this.#act = act;
    this.#onPresence = onPresence;
  }

  /** @param onPresence Told when the icon appears in a tray, and when that tray has gone. */
  static async open(
    session: Bus,
    act: (action: ShellAction) => void,
    onPresence: (shown: boolean) => void,
  ): Promise<BusTray> {
    const tray = new BusTray(session, act, onPresence);
    tray.#pixmaps = pixmapsOf(tray.#model.icon);
    const definition = tray.#definition();
    await session.bus.export(itemPath, definition);
    Object.assign(tray.#emit, definition.emit);
    tray.#menu = await BusMenu.export(session, act);
    const busName = `${itemName}-${process.pid}-1`;
    await session.bus.ownName(busName);
    await session.watchOwner(watcherName, (owner) => void tray.#register(owner, busName));
    return tray;
  }

  get shown(): boolean {
    return this.#shown;
  }

  show(model: TrayModel): void {
    const before = this.#model;
    this.#model = model;
    if (JSON.stringify(model.icon) !== JSON.stringify(before.icon)) {
      this.#pixmaps = pixmapsOf(model.icon);
      this.#emit['NewIcon']?.();
      if (statusOf(model.icon) !== statusOf(before.icon)) {
        this.#emit['NewAttentionIcon']?.();
        this.#emit['NewStatus']?.(statusOf(model.icon));
      }
    }
    if (model.tooltip !== before.tooltip) this.#emit['NewToolTip']?.();
    this.#menu?.show(model.menu);
  }

  async #register(owner: string | undefined, busName: string): Promise<void> {
    const registered =
      owner !== undefined &&
      (await this.#session.call(owner, watcherPath, watcherName, 'RegisterStatusNotifierItem', 's', [busName]).then(
        () => true,
        () => false,
      ));
    this.#shown = registered;
    this.#onPresence(registered);
  }

  #definition(): ReturnType<typeof defineInterface> {
    const open = { in: { x: 'i', y: 'i' }, handler: () => this.#act({ do: 'open', view: 'overview' }) };
    const nothing = (): void => undefined;
    return defineInterface({
      name: itemName,
      methods: {
        Activate: open,
        SecondaryActivate: open,
        // A host that cannot draw our menu asks for it so; there is no other.
        ContextMenu: { in: { x: 'i', y: 'i' }, handler: nothing },
        Scroll: { in: { delta: 'i', orientation: 's' }, handler: nothing },
      },
      properties: {
        Category: { type: 's', access: 'read', value: 'SystemServices' },
        Id: { type: 's', access: 'read', value: 'homeward' },
        Title: { type: 's', access: 'read', value: 'Homeward' },
        Status: { type: 's', access: 'read', get: () => statusOf(this.#model.icon) },
        WindowId: { type: 'i', access: 'read', value: 0 },
        // Pixels only: a name could be any theme's icon, or none.
        IconName: { type: 's', access: 'read', value: '' },
        IconPixmap: { type: 'a(iiay)', access: 'read', get: () => this.#pixmaps },
        OverlayIconName: { type: 's', access: 'read', value: '' },
        OverlayIconPixmap: { type: 'a(iiay)', access: 'read', value: [] },
        AttentionIconName: { type: 's', access: 'read', value: '' },
        AttentionIconPixmap: { type: 'a(iiay)', access: 'read', get: () => this.#pixmaps },
        AttentionMovieName: { type: 's', access: 'read', value: '' },
        ToolTip: {
          type: '(sa(iiay)ss)',
          access: 'read',
          get: () => ['', [], 'Homeward', asMarkup(this.#model.tooltip)],
        },
        ItemIsMenu: { type: 'b', access: 'read', value: false },
        Menu: { type: 'o', access: 'read', value: menuPath },
      },
      signals: {
        NewTitle: {},
        NewIcon: {},
        NewAttentionIcon: {},
        NewOverlayIcon: {},
        NewToolTip: {},
        NewStatus: { args: { status: 's' } },
      },
    });
  }
}

function statusOf({ state }: TrayIcon): string {
  return state === 'attention' ? 'NeedsAttention' : 'Active';
}

function pixmapsOf(icon: TrayIcon): Pixmap[] {
  return sizes.map((size) => [size, size, argb32(drawTrayIcon(icon, size))]);
}
