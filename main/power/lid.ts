import { who } from './inhibitor.ts';
import type { ListedLock, LogindState } from './logind.ts';

/** HandleLidSwitch and its kind (logind.conf(5)): the user has to log in again, and that is all. */
const locksScreen: readonly (string | undefined)[] = ['lock', 'secure-attention-key'];
/** Those of which this computer neither sleeps nor ends. */
const staysAwake = [...locksScreen, 'ignore'];

export function doesLidLockScreen({ lidAction }: LogindState): boolean {
  return locksScreen.includes(lidAction);
}

/** Another program that has taken the lid from logind, and decides itself what closing it does. */
export function lidTakenBy(locks: readonly ListedLock[]): string | undefined {
  const takes = ({ what, mode, who: other }: ListedLock): boolean =>
    other !== who && mode === 'block' && what.split(':').includes('handle-lid-switch');
  return locks.find(takes)?.who;
}

/**
 * Whether this computer stays awake with its lid closed. Asks for the locks where that depends on whether a desktop has taken the
 * lid: that one leaves it alone in a dock or with a display, and else does what a laptop does.
 */
export async function isLidIgnored(
  { lidClosed, lidAction, docked = false }: LogindState,
  takenBy: () => Promise<string | undefined>,
): Promise<boolean | undefined> {
  if (lidClosed !== true) return false;
  if (lidAction === undefined) return undefined;
  const isIgnored = staysAwake.includes(lidAction);
  if (isIgnored === docked) return isIgnored;
  return (await takenBy()) === undefined ? isIgnored : docked;
}
