import { onTestFinished, vi } from 'vitest';
import { Autostart } from '../../../main/shell/autostart.ts';
import { Shell } from '../../../main/shell/shell.ts';
import { WebWindows } from '../../../main/shell/web/web-windows.ts';
import type { Status } from '../../../shared/rpc.ts';
import { status } from '../cli/samples.ts';
import { type Script, type ScriptedEngine, scriptedEngine } from '../cli/scripted-engine.ts';

export interface Bed {
  readonly shell: Shell;
  readonly engine: ScriptedEngine;
  /** Where the window would have been built. */
  readonly windowFolder: string;
  /** Addresses the browser was opened with. */
  readonly opened: string[];
  readonly notes: string[];
  readonly quits: number[];
  tell(status: Partial<Status>): void;
}

const startedAt = '2026-11-25T08:00:00.000Z';

export async function bed(script: Script = {}, first: Partial<Status> = {}): Promise<Bed> {
  let now = status({ startedAt, ...first });
  const engine = await scriptedEngine(script, () => now);
  vi.stubEnv('XDG_RUNTIME_DIR', engine.folder);
  const windowFolder = `${engine.folder}/window`;
  const opened: string[] = [];
  const notes: string[] = [];
  const quits: number[] = [];
  const shell = await Shell.start({
    windows: (windows) => WebWindows.serve(windows, windowFolder, async (address) => opened.push(address) > 0),
    autostart: new Autostart(['/usr/bin/homeward', 'open', '--background'], `${engine.folder}/auto/homeward.desktop`),
    onFault: () => undefined,
    note: (words) => void notes.push(words),
    onQuit: () => void quits.push(1),
  });
  onTestFinished(() => shell.close());
  return {
    shell,
    engine,
    windowFolder,
    opened,
    notes,
    quits,
    tell(next) {
      now = status({ startedAt, ...next });
      engine.server.statusChanged();
    },
  };
}
