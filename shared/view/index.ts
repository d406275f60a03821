/** State in plain words, the same for command line, tray and window. Pure: clocks are passed in. */
export {
  decisionSentence,
  logSentence,
  type PairingView,
  pairingView,
  suggestionCommand,
} from './decision.ts';
export { formatAddress, type HostView, hostLine, hostView, visitLine } from './host.ts';
export {
  moveLine,
  moveSummary,
  type ProgressView,
  phaseWords,
  planLines,
  progressShare,
  progressView,
  routeWords,
  wasCancelled,
} from './move.ts';
export { count, formatBytes, formatCode, formatDuration, formatRate, formatSince, sentence } from './units.ts';
export { levelWords, stateWords, type VmView, vmLine, vmView } from './vm.ts';
