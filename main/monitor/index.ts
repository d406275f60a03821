/** The user's VMs and what they do, one sample a second. */
export type { Clock } from './clock.ts';
export { type ConnectionObstacle, Monitor, type MonitorEvents, type MonitorOptions, type SeenVm } from './monitor.ts';
