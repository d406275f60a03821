import type { WindowView } from '../../../shared/view/index.ts';
import type { ForWindows, Windows } from '../shell.ts';
import { windowFiles } from '../site.ts';
import { openBrowser } from './browser.ts';
import { WebServer } from './web-server.ts';

const reloadMs = 10_000;

/** Windows in the user's browser. */
export class WebWindows implements Windows {
  readonly kind = 'web';
  readonly reloadMs = reloadMs;
  readonly #server: WebServer;
  readonly #browser: (address: string) => Promise<boolean>;
  readonly #readFiles: () => void;

  private constructor(server: WebServer, browser: (address: string) => Promise<boolean>, readFiles: () => void) {
    this.#server = server;
    this.#browser = browser;
    this.#readFiles = readFiles;
  }

  /** @param windowFolder The window as it was built. */
  static async serve(
    shell: ForWindows,
    windowFolder: string,
    browser: (address: string) => Promise<boolean> = openBrowser,
  ): Promise<WebWindows> {
    let files = windowFiles(windowFolder, shell.onFault);
    const server = await WebServer.listen({ ...shell, files: () => files });
    return new WebWindows(server, browser, () => {
      files = windowFiles(windowFolder, shell.onFault);
    });
  }

  async open(view: WindowView): Promise<{ readonly address?: string }> {
    // It may have been built anew since.
    this.#readFiles();
    const address = this.#server.newAddress(view);
    return (await this.#browser(address)) ? {} : { address };
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
