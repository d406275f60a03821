import { type BareEndpoint, createEndpoint, type Endpoint, type Listeners } from '../shared/endpoint.ts';
import { HomewardError } from '../shared/errors.ts';
import { type LineBridge, type WindowCalls, type WindowEvents, windowCalls, windowEvents } from '../shared/window.ts';

declare global {
  interface Window {
    /** Put there by the Electron preload; a page of the web shell has none. */
    readonly homeward?: LineBridge;
  }
}

export type Call = Endpoint<WindowCalls, Record<string, never>>['call'];

export interface BridgeListeners extends Listeners<WindowEvents> {
  /** The shell can be asked: at first, and again after each gap. */
  readonly opened: () => void;
  /** The shell is gone; the bridge tries again every second. */
  readonly closed: () => void;
}

/** Longest call that does not wait for a person: a preflight over a slow network. */
const callTimeoutMs = 120_000;
const retryMs = 1_000;

/** The window's one conversation with its shell. Calls made in a gap fail at once, with a sentence. */
export function connectBridge(listeners: BridgeListeners): Call {
  let endpoint: BareEndpoint<WindowCalls, Record<string, never>> | undefined;

  const open = (send: (line: string) => void): BareEndpoint<WindowCalls, Record<string, never>> =>
    createEndpoint({
      serves: {},
      handlers: {},
      uses: windowCalls,
      hears: windowEvents,
      listeners,
      sends: {},
      timeoutMs: callTimeoutMs,
      onFault: (fault) => console.warn(fault),
      send: (line) => send(line.trimEnd()),
    });

  if (window.homeward === undefined) dial();
  else {
    const bridge = window.homeward;
    const opened = open((line) => bridge.send(line));
    bridge.onLine((line) => opened.receive(`${line}\n`));
    endpoint = opened;
    // Not before the caller holds what it is given.
    queueMicrotask(() => listeners.opened());
  }

  function dial(): void {
    const address = new URL('/socket', window.location.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(address);
    const mine = open((line) => socket.send(line));
    socket.addEventListener('open', () => {
      endpoint = mine;
      listeners.opened();
    });
    socket.addEventListener('message', ({ data }) => {
      try {
        mine.receive(`${String(data)}\n`);
      } catch (thrown) {
        console.warn(thrown);
        socket.close();
      }
    });
    socket.addEventListener('close', () => {
      endpoint = undefined;
      mine.close(noShell());
      listeners.closed();
      setTimeout(dial, retryMs);
    });
  }

  return async (method, params, options) => {
    if (endpoint === undefined) throw noShell();
    return endpoint.call(method, params, options);
  };
}

function noShell(): HomewardError {
  return new HomewardError('engine-not-running', 'This window has lost its connection to Homeward.', {
    hint: 'It tries again every second. If that does not help, open Homeward again.',
  });
}
