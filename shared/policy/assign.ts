/** Several VMs and several hosts at once. */
import { decide } from './decide.ts';
import type { Decision, HostCandidate, PolicyInput, PolicyName } from './types.ts';

export type Case = PolicyInput & { readonly policy: PolicyName };

/** Room on a host that a VM on its way there will take. */
export interface Claim {
  readonly host: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
}

/**
 * What is to be done with each VM, in the order given. All see hosts with the room that moves under way will take off
 * them; of those that would go out now only the one that gains most goes, since they would share the link and perhaps
 * the host, and the others are looked at again when it has arrived.
 */
export function decideAll(cases: readonly Case[], claims: readonly Claim[]): Decision[] {
  const decisions = cases.map((one) => decide({ ...one, hosts: one.hosts.map((host) => without(host, claims)) }));
  const first = firstOut(decisions);
  return decisions.map((decision, index) => {
    if (decision.action !== 'offload' || decision.outcome !== 'acted' || index === first) return decision;
    const name = cases[index]?.vm.name ?? '';
    const goesFirst = first === undefined ? 'another VM is on its way' : `${cases[first]?.vm.name ?? ''} goes first`;
    const { calculation } = decision;
    return {
      policy: decision.policy,
      action: 'stay',
      outcome: 'noted',
      reason: `${name} would gain by a move to ${decision.hostName ?? 'a host'}, but ${goesFirst}.`,
      ...(calculation === undefined ? {} : { calculation }),
    };
  });

  function firstOut(all: readonly Decision[]): number | undefined {
    if (claims.length > 0) return undefined;
    let best: number | undefined;
    for (const [index, { action, outcome, expectedGainS = 0 }] of all.entries()) {
      if (action !== 'offload' || outcome !== 'acted') continue;
      if (best === undefined || expectedGainS > (all[best]?.expectedGainS ?? 0)) best = index;
    }
    return best;
  }
}

function without(host: HostCandidate, claims: readonly Claim[]): HostCandidate {
  const { facts } = host;
  const own = claims.filter((claim) => claim.host === host.fingerprint);
  if (facts === undefined || own.length === 0) return host;
  const sum = (figure: (claim: Claim) => number): number => own.reduce((total, claim) => total + figure(claim), 0);
  return {
    ...host,
    facts: {
      ...facts,
      busyCores: Math.min(facts.cores, facts.busyCores + sum(({ vcpus }) => vcpus)),
      freeMemoryBytes: Math.max(0, facts.freeMemoryBytes - sum(({ memoryBytes }) => memoryBytes)),
    },
  };
}
