import type { ReactNode } from 'react';
import type { Status } from '../../shared/rpc.ts';
import { strangers } from '../../shared/view/index.ts';
import { AddHost } from '../components/AddHost.tsx';
import { CopyCommand } from '../components/CopyCommand.tsx';
import { Empty } from '../components/Empty.tsx';
import { HostCard } from '../components/HostCard.tsx';
import { HostRole } from '../components/HostRole.tsx';
import { View } from '../components/View.tsx';

interface HostsProps {
  readonly status: Status;
}

export function Hosts({ status }: HostsProps): ReactNode {
  const paired = status.hosts.filter((host) => host.paired);
  const found = strangers(status.hosts);
  return (
    <View title="Hosts">
      {status.hosts.length === 0 ? (
        <Empty icon="hosts" title="Looking for hosts on this network…">
          <p>None has been found yet. On a workstation of yours, with Homeward installed, run:</p>
          <CopyCommand command="homeward host" />
        </Empty>
      ) : null}
      {paired.length === 0 ? null : (
        <section aria-labelledby="hosts-paired">
          <h2 id="hosts-paired">Paired</h2>
          <div className="grid">
            {paired.map((host) => (
              <HostCard key={host.fingerprint ?? host.name} host={host} />
            ))}
          </div>
        </section>
      )}
      {found.length === 0 ? null : (
        <section aria-labelledby="hosts-found">
          <h2 id="hosts-found">Found, not paired</h2>
          <div className="grid">
            {found.map((host) => (
              <HostCard key={host.fingerprint ?? host.name} host={host} />
            ))}
          </div>
        </section>
      )}
      <AddHost />
      <HostRole host={status.host} />
    </View>
  );
}
