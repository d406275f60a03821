import { contextBridge, ipcRenderer } from 'electron';
import type { LineBridge } from '../../../shared/window.ts';
import { lineChannel, readyChannel } from './channels.ts';

/** All that the page gets: lines out, lines in. Built as CommonJS, which a sandboxed preload has to be. */
const bridge: LineBridge = {
  send: (line) => ipcRenderer.send(lineChannel, String(line)),
  onLine(listener) {
    ipcRenderer.on(lineChannel, (_event, line: unknown) => {
      if (typeof line === 'string') listener(line);
    });
    ipcRenderer.send(readyChannel);
  },
};

contextBridge.exposeInMainWorld('homeward', bridge);
