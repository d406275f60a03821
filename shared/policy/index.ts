/** Decisions: pure functions from what was measured to what should happen, and why. */
import { muda } from './muda.ts';
import type { Decision, Judgement, Policy, PolicyInput, PolicyName } from './types.ts';

const policies: Readonly<Record<PolicyName, Policy>> = { muda };

/** What the named policy would do with one VM now. Deterministic: the time comes in with the data. */
export function decide(input: PolicyInput & { readonly policy: PolicyName }): Decision {
  const judgement = policies[input.policy](input);
  return { ...judgement, policy: input.policy, outcome: outcomeOf(judgement, input) };
}

function outcomeOf(judgement: Judgement, input: PolicyInput): Decision['outcome'] {
  if (judgement.action === 'stay' || input.vm.level === 'off') return 'noted';
  return input.vm.level === 'automatic' ? 'acted' : 'suggested';
}

export {
  type Decision,
  defaultPolicySettings,
  type HostCandidate,
  type PolicyInput,
  type PolicyVm,
} from './types.ts';
export { classify } from './workload.ts';
