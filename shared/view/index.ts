/** State in plain words, the same for command line, tray and window. Pure: clocks are passed in. */
export {
  decisionSentence,
  logSentence,
  pairingView,
  suggestionCommand,
} from './decision.ts';
export { hostLine, hostView, visitLine } from './host.ts';
export {
  moveLine,
  moveSummary,
  phaseWords,
  planLines,
  progressShare,
  progressView,
  routeWords,
  wasCancelled,
} from './move.ts';
export { count, formatBytes, formatDuration, formatRate, formatSince, sentence } from './units.ts';
export { levelWords, vmLine, vmView } from './vm.ts';
