/** The user's VMs and what they do, one sample a second. */
export { Monitor, type MonitorOptions, type SeenVm } from './monitor.ts';
