/**
 * Inside a packaged Homeward every program is started by Electron's binary, which is a plain Node when told so.
 */
export const asNode: NodeJS.ProcessEnv =
  process.versions['electron'] === undefined ? {} : { ELECTRON_RUN_AS_NODE: '1' };

/** The same without, for what is to be Electron itself. */
export function asElectron(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { ELECTRON_RUN_AS_NODE: _, ...rest } = env;
  return rest;
}

/** Programs and their native parts lie beside the archive (electron-builder.yml): a worker thread needs a real file. */
export function asFile(path: string): string {
  return path.replace('/app.asar/', '/app.asar.unpacked/');
}
