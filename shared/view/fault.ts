import type { ErrorCode, ErrorReport } from '../errors.ts';

/** What to do in a window, where whoever refused had nothing better to say. */
const windowHints: Partial<Readonly<Record<ErrorCode, string>>> = {
  'vm-not-running': 'Start the VM first.',
  'vm-away': 'Bring the VM home first.',
  'vm-busy': 'See what is going on under Moves.',
  'not-ready': 'Make it ready first.',
  'not-paired': 'Pair the two computers under Hosts.',
  'pairing-failed': 'Begin the pairing again under Hosts.',
  'host-unreachable': 'Is it switched on, on the same network, and is its host role on?',
  'host-full': 'Bring another VM home first, or choose another host.',
  'no-postcopy': 'Let the move finish as it is, or cancel it.',
  'too-late': 'Let it finish.',
  timeout: 'Try again; if it stays so, see Doctor.',
  'engine-not-running': 'Start the engine.',
  libvirt: 'See Doctor.',
  internal: 'The log of the engine says more; see Doctor.',
};

/** The hint that came along, or the usual one. */
export function hintOf({ code, hint }: ErrorReport): string | undefined {
  return hint ?? windowHints[code];
}
