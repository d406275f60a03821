/** State in plain words, the same for command line, tray and window. Pure: clocks are passed in. */
export { canFinishNow, type PrimaryAction, primaryAction, type Target, targets, tooLateWords } from './action.ts';
export {
  awayNotes,
  canRestartHere,
  isOutOfReach,
  restartWarnings,
  visitEndSentences,
  visitorEndWords,
} from './away.ts';
export {
  calculationFigures,
  decisionSentence,
  logSentence,
  pairingView,
  suggestionCommand,
} from './decision.ts';
export { hintOf } from './fault.ts';
export { guardWords } from './guard.ts';
export { filterRows, type LogFilter, type LogRow, logRow } from './history.ts';
export { formatSteps, hostFigures, hostLine, hostView, pastVisitLine, reachedAt, visitLine } from './host.ts';
export {
  moveLine,
  moveSummary,
  phaseWords,
  planLines,
  progressOf,
  progressShare,
  progressView,
  routeWords,
  wasCancelled,
} from './move.ts';
export {
  decisionNotification,
  moveNotification,
  notificationsBetween,
  pairingNotification,
  refusalNotification,
  type ShellNotification,
} from './notifications.ts';
export { attention, type FirstStep, firstSteps, type Opinion, opinionOf } from './overview.ts';
export { type PlaceView, placesOf, strangers } from './places.ts';
export { type PreferenceKey, preferenceKeys, preferenceViews, triggerOf } from './preferences.ts';
export type { ShellAction, WindowView } from './shell-action.ts';
export { type Figure, moveFigures, phaseTimeline } from './timeline.ts';
export { type MenuEntry, type TrayIcon, type TrayModel, trayModel } from './tray.ts';
export { count, formatBytes, formatDuration, formatRate, formatSince, sentence } from './units.ts';
export { levelWords, stateWords, vmLine, vmView } from './vm.ts';
