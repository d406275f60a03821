/** What a shell that runs is asked by one that is started later, and by the command line: lines of JSON-RPC 2.0. */
import { z } from 'zod';
import { VmUuid } from './model/identifiers.ts';
import type { WindowView } from './view/shell-action.ts';
import { ShellFacts } from './window.ts';

const View = z.union([
  z.enum(['overview', 'hosts', 'settings']),
  z.templateLiteral(['ready/', VmUuid]),
]) satisfies z.ZodType<WindowView>;

export const shellCalls = {
  /** Opens a window, or brings the one there is to the front. */
  'shell.open': {
    params: z.object({ view: View }),
    result: z.object({
      facts: ShellFacts,
      /** Good once and for a minute: where no browser could be opened, to be opened by hand. */
      address: z.url().optional(),
    }),
  },
} as const;
export type ShellCalls = typeof shellCalls;
