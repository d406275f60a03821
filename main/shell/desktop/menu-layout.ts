import { Variant } from 'dbus-native';
import type { MenuEntry, ShellAction } from '../../../shared/view/index.ts';

/** An entry as com.canonical.dbusmenu shows it: (ia{sv}av). */
export type LayoutNode = [number, Record<string, Variant>, Variant[]];

/** What a new menu means for one who has read the old. */
export type MenuChange =
  | { readonly kind: 'none' }
  /** Other words in the same places. */
  | { readonly kind: 'properties'; readonly ids: readonly number[] }
  | { readonly kind: 'layout' };

interface Node {
  readonly id: number;
  readonly properties: Record<string, Variant>;
  readonly action: ShellAction | undefined;
  readonly children: readonly Node[];
}

const rootId = 0;

/**
 * A menu in the words of com.canonical.dbusmenu. Its numbers stay with an entry from one menu to the next and are never
 * given to another, so that a click on a menu just replaced cannot hit something else.
 */
export class MenuLayout {
  readonly #numbers = new Map<string, number>();
  #root: Node = { id: rootId, properties: {}, action: undefined, children: [] };
  #nodes = new Map<number, Node>([[rootId, this.#root]]);

  replace(entries: readonly MenuEntry[]): MenuChange {
    const before = this.#nodes;
    const oldShape = shapeOf(this.#root);
    this.#root = {
      id: rootId,
      properties: { 'children-display': new Variant('s', 'submenu') },
      action: undefined,
      children: entries.map((entry) => this.#node(entry)),
    };
    this.#nodes = new Map(flat(this.#root).map((node) => [node.id, node]));
    if (shapeOf(this.#root) !== oldShape) return { kind: 'layout' };
    const ids = [...this.#nodes.values()]
      .filter(({ id, properties }) => JSON.stringify(properties) !== JSON.stringify(before.get(id)?.properties))
      .map(({ id }) => id);
    return ids.length === 0 ? { kind: 'none' } : { kind: 'properties', ids };
  }

  has(id: number): boolean {
    return this.#nodes.has(id);
  }

  /** What a click on it means now; undefined for what is gone, or only to be read. */
  actionOf(id: number): ShellAction | undefined {
    return this.#nodes.get(id)?.action;
  }

  /** @param depth Levels below `id`; negative for all. Undefined where there is no such entry. */
  layout(id: number, depth: number): LayoutNode | undefined {
    const node = this.#nodes.get(id);
    return node === undefined ? undefined : layoutOf(node, depth);
  }

  /** Of those asked for that there are; all of them where none is named. */
  properties(ids: readonly number[]): [number, Record<string, Variant>][] {
    const nodes = ids.length === 0 ? [...this.#nodes.values()] : ids.flatMap((id) => this.#nodes.get(id) ?? []);
    return nodes.map(({ id, properties }) => [id, properties]);
  }

  #node(entry: MenuEntry): Node {
    const children = entry.kind === 'submenu' ? entry.entries.map((child) => this.#node(child)) : [];
    return {
      id: this.#numberOf(entry.id),
      properties: propertiesOf(entry),
      action: entry.kind === 'action' || entry.kind === 'check' ? entry.action : undefined,
      children,
    };
  }

  #numberOf(key: string): number {
    const number = this.#numbers.get(key) ?? this.#numbers.size + 1;
    this.#numbers.set(key, number);
    return number;
  }
}

function propertiesOf(entry: MenuEntry): Record<string, Variant> {
  if (entry.kind === 'separator') return { type: new Variant('s', 'separator') };
  return {
    // One underscore would mark a key to press.
    label: new Variant('s', entry.label.replaceAll('_', '__')),
    enabled: new Variant('b', entry.kind !== 'words'),
    ...(entry.kind === 'check'
      ? { 'toggle-type': new Variant('s', 'checkmark'), 'toggle-state': new Variant('i', entry.checked ? 1 : 0) }
      : {}),
    ...(entry.kind === 'submenu' ? { 'children-display': new Variant('s', 'submenu') } : {}),
  };
}

function layoutOf({ id, properties, children }: Node, depth: number): LayoutNode {
  const below = depth === 0 ? [] : children.map((child) => new Variant('(ia{sv}av)', layoutOf(child, depth - 1)));
  return [id, properties, below];
}

function shapeOf({ id, properties, children }: Node): string {
  // Another kind of entry is another layout.
  return `${id}${Object.keys(properties).sort().join()}(${children.map(shapeOf).join(' ')})`;
}

function flat(node: Node): Node[] {
  return [node, ...node.children.flatMap(flat)];
}
