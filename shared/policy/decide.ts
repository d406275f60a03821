import { homeward } from './homeward.ts';
import { muda } from './muda.ts';
import type { Decision, Judgement, Policy, PolicyInput, PolicyName } from './types.ts';

const policies: Readonly<Record<PolicyName, Policy>> = { homeward, muda };

/** What the named policy would do with one VM now. Deterministic: the time comes in with the data. */
export function decide(input: PolicyInput & { readonly policy: PolicyName }): Decision {
  const judgement = policies[input.policy](input);
  return { ...judgement, policy: input.policy, outcome: outcomeOf(judgement, input) };
}

function outcomeOf(judgement: Judgement, input: PolicyInput): Decision['outcome'] {
  if (judgement.action === 'stay' || input.vm.level === 'off') return 'noted';
  return input.vm.level === 'automatic' ? 'acted' : 'suggested';
}
