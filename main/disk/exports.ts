import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { type Execute, QmpError } from './qmp.ts';

/** Who may write a VM's disks: the VM at home, or one visit. */
export type Writer = 'home' | `visit-${string}`;

export const Target = z.string().regex(/^[a-z][a-z0-9]{0,15}$/);

const ExportList = z.array(z.object({ id: z.string(), 'node-name': z.string(), 'shutting-down': z.boolean() }));

const writerShape = /^(?:home|visit-[0-9a-f]{32})$/;
const exportShape = /^(home|visit-[0-9a-f]{32})-([a-z][a-z0-9]{0,15})$/;

/**
 * NBD export name of disk `target` for `writer`: `home-vda`, `visit-<token>-vda`. It is the right to
 * write: an export that is gone cannot be opened again, nor used by who has it open.
 */
export function exportName(writer: Writer, target: string): string {
  if (!writerShape.test(writer)) throw new HomewardError('bad-input', `${writer} is no writer of a disk.`);
  return `${writer}-${Target.parse(target)}`;
}

/** The block node that holds `target`'s format layer. Node names may have 31 characters at most. */
export function nodeName(target: string): string {
  return `disk-${target}`;
}

export interface Export {
  readonly writer: Writer;
  readonly target: string;
  /** Being deleted, though requests it accepted may still be in flight. */
  readonly ending: boolean;
}

/** query-block-exports */
export async function listExports(execute: Execute): Promise<Export[]> {
  return ExportList.parse(await execute('query-block-exports')).flatMap((entry) => {
    const [, writer, target] = exportShape.exec(entry.id) ?? [];
    return writer === undefined || target === undefined
      ? []
      : [{ writer: writer as Writer, target, ending: entry['shutting-down'] }];
  });
}

/** block-export-add; what is there already is left as it is. */
export async function addExports(execute: Execute, writer: Writer, targets: readonly string[]): Promise<void> {
  const present = (await listExports(execute)).filter((one) => one.writer === writer);
  if (present.some((one) => one.ending)) {
    throw new HomewardError('vm-busy', 'The disk is still being taken from this writer.', { hint: 'Try again.' });
  }
  const added: string[] = [];
  try {
    for (const target of targets) {
      if (present.some((one) => one.target === target)) continue;
      const name = exportName(writer, target);
      await execute('block-export-add', {
        type: 'nbd',
        id: name,
        name,
        'node-name': nodeName(target),
        writable: true,
        // A visitor runs on when this computer, or its daemon, ends without warning: what it was told is written must be.
        writethrough: writer !== 'home',
      });
      added.push(name);
    }
  } catch (error) {
    for (const id of added) await execute('block-export-del', { id, mode: 'hard' });
    throw error;
  }
}

/**
 * block-export-del in mode hard for every export of `writer`: its clients are cut off. Returns how many
 * exports of that writer are still ending: only at 0 has its last accepted write been carried out.
 */
export async function deleteExports(execute: Execute, writer: Writer): Promise<number> {
  let ending = 0;
  for (const one of await listExports(execute)) {
    if (one.writer !== writer) continue;
    ending += 1;
    if (one.ending) continue;
    try {
      await execute('block-export-del', { id: exportName(writer, one.target), mode: 'hard' });
    } catch (error) {
      // Gone by itself between the list and the order.
      if (!(error instanceof QmpError)) throw error;
    }
  }
  return ending;
}
