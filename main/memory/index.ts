export { balloonStats, restore, shrink, shrinkTarget } from './balloon.ts';
