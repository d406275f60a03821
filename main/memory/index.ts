export {
  deflatesAtNeed,
  giveOnTheMove,
  hasBalloon,
  hasMemory,
  offerAnew,
  restore,
  shrink,
  steadyStats,
} from './balloon.ts';
export { SelfBallooning } from './self-ballooning.ts';
