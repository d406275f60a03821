import { type BareEndpoint, createEndpoint, type Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { type Calls, calls } from '../../shared/rpc.ts';
import { type WindowCalls, type WindowEvents, windowCalls, windowEvents } from '../../shared/window.ts';
import type { EngineLine } from './engine-line.ts';

/** The calls that the shell itself answers. */
export type ShellHandlers = Omit<Handlers<WindowCalls>, keyof Calls>;

/** One window, over whatever carries its lines. */
export interface WindowSession {
  /**
   * Takes text as it came from the window.
   * @throws HomewardError `bad-input` where it is too much: end the window's connection.
   */
  receive(text: string): void;
  /** The window has gone. */
  close(): void;
}

/**
 * Serves `shared/window.ts` to one window. What it asks is checked against the contract here, then again by the engine;
 * what the engine answers is checked, too, so a window is shown nothing that was not agreed.
 */
export function serveWindow(
  engine: EngineLine,
  shell: ShellHandlers,
  send: (line: string) => void,
  onFault: (fault: HomewardError) => void,
): WindowSession {
  const endpoint: BareEndpoint<Record<string, never>, WindowEvents> = createEndpoint({
    serves: windowCalls,
    handlers: { ...passedOn(engine), ...shell },
    uses: {},
    hears: {},
    listeners: {},
    sends: windowEvents,
    timeoutMs: Number.POSITIVE_INFINITY,
    onFault,
    send,
  });
  const unwatch = engine.watch({
    engine: (state) => endpoint.notify('engine', { state }),
    status: (status) => endpoint.notify('status', status),
    move: (move) => endpoint.notify('move', move),
    decision: (decision) => endpoint.notify('decision', decision),
    pairing: (pairing) => endpoint.notify('pairing', pairing),
  });
  return {
    receive: (text) => endpoint.receive(text),
    close() {
      unwatch();
      endpoint.close(new HomewardError('cancelled', 'The window has gone.'));
    },
  };
}

/** A message as the line it is to be, with its newline; undefined where it is more than one. */
export function oneLine(message: string): string | undefined {
  const line = message.endsWith('\n') ? message.slice(0, -1) : message;
  return line.includes('\n') ? undefined : `${line}\n`;
}

function passedOn(engine: EngineLine): Handlers<Calls> {
  const entries = (Object.keys(calls) as (keyof Calls)[]).map((method) => [
    method,
    (params: never) => engine.call(method, params),
  ]);
  return Object.fromEntries(entries) as Handlers<Calls>;
}
