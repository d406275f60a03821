/** The machine's power and network: what they say, and the locks that make sleep wait. */
export type { MissingService } from './armed.ts';
export { atMost } from './at-most.ts';
export type { GuardState } from './guard.ts';
export { Power } from './power.ts';
