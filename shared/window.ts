/**
 * What a window says to the shell that shows it, in lines of JSON-RPC 2.0 (endpoint.ts): the engine's whole contract,
 * which the shell passes on, and the few calls that only a shell can answer. The same over Electron's bridge and over
 * the web shell's socket.
 */
import { z } from 'zod';
import { calls, events } from './rpc.ts';

const Nothing = z.object({}).strict();

export const ShellFacts = z.object({
  kind: z.enum(['electron', 'web']),
  /** Whether a tray icon is shown now (org.kde.StatusNotifierWatcher is there). */
  tray: z.boolean(),
  startAtLogin: z.boolean(),
});
export type ShellFacts = z.infer<typeof ShellFacts>;

/** Whether the shell reaches the engine. `gone`: it did, and tries again every second. */
export const EngineState = z.enum(['connecting', 'up', 'gone']);
export type EngineState = z.infer<typeof EngineState>;

export const windowCalls = {
  ...calls,
  'shell.facts': { params: Nothing, result: ShellFacts },
  'shell.setStartAtLogin': { params: z.object({ on: z.boolean() }), result: ShellFacts },
  /** Starts an engine where none runs; resolves when it answers. */
  'shell.startEngine': { params: Nothing, result: Nothing },
  /** Ends the shell: window and tray. The engine and all VMs go on. */
  'shell.quit': { params: Nothing, result: Nothing },
} as const;
export type WindowCalls = typeof windowCalls;

/** `status` comes at once after `engine` has become `up`, then as the engine sends it. */
export const windowEvents = { ...events, engine: z.object({ state: EngineState }) } as const;
export type WindowEvents = typeof windowEvents;

/**
 * What an Electron preload puts at `window.homeward`: whole lines without their newline, both ways. A page without
 * it is the web shell's and opens a WebSocket at `/socket` on its own origin, one such line a message.
 */
export interface LineBridge {
  send(line: string): void;
  onLine(listener: (line: string) => void): void;
}
