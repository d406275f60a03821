import { onTestFinished } from 'vitest';
import { Hosts, type HostsOptions } from '../../../main/engine/hosts.ts';
import { makeIdentity } from '../../../main/trust/index.ts';

/** The hosts that a laptop knows, of which nothing is wanted and nobody is told; stopped with the test. */
export async function hostsOf(
  given: Pick<HostsOptions, 'peers' | 'settings'> & Partial<Pick<HostsOptions, 'identity' | 'watched'>>,
): Promise<Hosts> {
  const { identity = await makeIdentity(), watched = () => false, ...rest } = given;
  const hosts = new Hosts({
    ...rest,
    identity,
    watched,
    onWanted: () => Promise.reject(new Error('nothing is wanted')),
    onChange: () => undefined,
    onFault: () => undefined,
  });
  onTestFinished(() => hosts.stop());
  return hosts;
}
