import { defineInterface } from 'dbus-native';
import type { MenuEntry, ShellAction } from '../../../shared/view/index.ts';
import type { Bus } from '../../bus/index.ts';
import { MenuLayout } from './menu-layout.ts';

export const menuPath = '/MenuBar';
const name = 'com.canonical.dbusmenu';

interface Click {
  readonly id: number;
  readonly eventId: string;
}

/** The tray's menu over D-Bus (com.canonical.dbusmenu, protocol version 3). */
export class BusMenu {
  readonly #layout = new MenuLayout();
  readonly #act: (action: ShellAction) => void;
  readonly #emit: ReturnType<typeof defineInterface>['emit'];
  #revision = 1;

  private constructor(act: (action: ShellAction) => void) {
    this.#act = act;
    this.#emit = {};
  }

  static async export(session: Bus, act: (action: ShellAction) => void): Promise<BusMenu> {
    const menu = new BusMenu(act);
    const definition = menu.#definition();
    await session.bus.export(menuPath, definition);
    Object.assign(menu.#emit, definition.emit);
    return menu;
  }

  show(entries: readonly MenuEntry[]): void {
    const change = this.#layout.replace(entries);
    if (change.kind === 'none') return;
    this.#revision += 1;
    if (change.kind === 'layout') this.#emit['LayoutUpdated']?.(this.#revision, 0);
    else this.#emit['ItemsPropertiesUpdated']?.(this.#layout.properties(change.ids), []);
  }

  #definition(): ReturnType<typeof defineInterface> {
    return defineInterface({
      name,
      methods: {
        GetLayout: {
          in: { parentId: 'i', recursionDepth: 'i', propertyNames: 'as' },
          out: { revision: 'u', layout: '(ia{sv}av)' },
          // The names wanted are a hint; all are few.
          handler: ({ parentId, recursionDepth }: { parentId: number; recursionDepth: number }) => {
            const layout = this.#layout.layout(parentId, recursionDepth);
            if (layout === undefined) throw new Error(`There is no entry ${parentId}.`);
            return { revision: this.#revision, layout };
          },
        },
        GetGroupProperties: {
          in: { ids: 'ai', propertyNames: 'as' },
          out: { properties: 'a(ia{sv})' },
          handler: ({ ids }: { ids: number[] }) => this.#layout.properties(ids),
        },
        GetProperty: {
          in: { id: 'i', name: 's' },
          out: { value: 'v' },
          handler: ({ id, name: property }: { id: number; name: string }) => {
            const value = this.#layout.properties([id])[0]?.[1][property];
            if (value === undefined) throw new Error(`Entry ${id} has no ${property}.`);
            return value;
          },
        },
        Event: {
          in: { id: 'i', eventId: 's', data: 'v', timestamp: 'u' },
          handler: (click: Click) => this.#event(click),
        },
        EventGroup: {
          in: { events: 'a(isvu)' },
          out: { idErrors: 'ai' },
          handler: ({ events }: { events: [number, string, unknown, number][] }) => {
            for (const [id, eventId] of events) this.#event({ id, eventId });
            return events.map(([id]) => id).filter((id) => !this.#layout.has(id));
          },
        },
        // What is exported is always the newest.
        AboutToShow: { in: { id: 'i' }, out: { needUpdate: 'b' }, handler: () => false },
        AboutToShowGroup: {
          in: { ids: 'ai' },
          out: { updatesNeeded: 'ai', idErrors: 'ai' },
          handler: ({ ids }: { ids: number[] }) => ({
            updatesNeeded: [],
            idErrors: ids.filter((id) => !this.#layout.has(id)),
          }),
        },
      },
      properties: {
        Version: { type: 'u', access: 'read', value: 3 },
        TextDirection: { type: 's', access: 'read', value: 'ltr' },
        Status: { type: 's', access: 'read', value: 'normal' },
        IconThemePath: { type: 'as', access: 'read', value: [] },
      },
      signals: {
        ItemsPropertiesUpdated: { args: { updatedProps: 'a(ia{sv})', removedProps: 'a(ias)' } },
        LayoutUpdated: { args: { revision: 'u', parent: 'i' } },
        ItemActivationRequested: { args: { id: 'i', timestamp: 'u' } },
      },
    });
  }

  #event({ id, eventId }: Click): void {
    const action = eventId === 'clicked' ? this.#layout.actionOf(id) : undefined;
    if (action !== undefined) this.#act(action);
  }
}
