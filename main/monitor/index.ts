/** The user's VMs and what they do, one sample a second. */
export type { AgentTrouble } from './agent.ts';
export { measureDirtyRate } from './dirty-rate.ts';
export { Monitor, type MonitorOptions, type SeenVm } from './monitor.ts';
