import type { Level } from '../model/vm.ts';

/** Parts of the window that a menu or a notification leads to, as its address has them behind `#/`; `ready/` a VM's UUID. */
export type WindowView = 'overview' | 'hosts' | 'settings' | `ready/${string}`;

/** What a click in the tray's menu or on a notification means. */
export type ShellAction =
  | { readonly do: 'offload'; readonly vm: string; readonly host?: string }
  | { readonly do: 'home'; readonly vm: string }
  | { readonly do: 'wantHome' | 'unwantHome'; readonly vm: string }
  /** Only where nothing is lost by it: its disk is home, and the VM ended. */
  | { readonly do: 'startHere'; readonly vm: string }
  | { readonly do: 'cancel'; readonly vm: string }
  | { readonly do: 'setLevel'; readonly vm: string; readonly level: Level }
  | { readonly do: 'dismiss'; readonly vm: string }
  | { readonly do: 'sendHome'; readonly visit: string }
  | { readonly do: 'open'; readonly view: WindowView }
  | { readonly do: 'startEngine' }
  | { readonly do: 'quit' };
