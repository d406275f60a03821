/** Decisions: pure functions from what was measured to what should happen, and why. */
export { type Case, type Claim, decideAll } from './assign.ts';
export { decide } from './decide.ts';
export {
  type Decision,
  defaultPolicySettings,
  type HomeLoad,
  type HostCandidate,
  type PolicyInput,
  PolicyName,
  type PolicyVm,
  type Surroundings,
} from './types.ts';
export { classify } from './workload.ts';
