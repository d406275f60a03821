export { askShell, type OpenedWindow } from './ask-shell.ts';
export { connectEngine, type EngineClient, isNoEngine, pause, stayConnected } from './client.ts';
export { asElectron } from './electron-node.ts';
export { engineCommand, engineLogFile, startEngine, statusOfEngine } from './spawn-engine.ts';
export { spawnLogged } from './spawn-logged.ts';
