import type { ReactNode } from 'react';
import type { Status } from '../../shared/rpc.ts';
import { attention, count, guardWords, placesOf, strangers } from '../../shared/view/index.ts';
import { Empty } from '../components/Empty.tsx';
import { FirstSteps } from '../components/FirstSteps.tsx';
import { Note } from '../components/Note.tsx';
import { Place } from '../components/Place.tsx';
import { View } from '../components/View.tsx';
import { useNow } from '../hooks.ts';
import { href } from '../route.ts';

interface OverviewProps {
  readonly status: Status;
}

export function Overview({ status }: OverviewProps): ReactNode {
  const now = useNow(10_000);
  const found = strangers(status.hosts);
  const held = status.guard.state === 'held' ? guardWords(status) : undefined;
  return (
    <View title="Overview">
      {attention(status, now).map((words) => (
        <Note key={words} tone="warn">
          {words}
        </Note>
      ))}
      <FirstSteps status={status} />
      {status.vms.length === 0 ? (
        <Empty icon="overview" title="No VM here yet">
          <p>Homeward shows the VMs that libvirt knows for you, of the session and of the system.</p>
        </Empty>
      ) : (
        <div className="places">
          {placesOf(status).map((place) => (
            <Place key={place.key} place={place} status={status} />
          ))}
        </div>
      )}
      {held === undefined ? null : <p className="soft">{held}</p>}
      {found.length === 0 ? null : (
        <p className="soft">
          {count(found.length, 'host')} found that {found.length === 1 ? 'is' : 'are'} not paired:{' '}
          {found.map((host) => host.name).join(', ')}. <a href={href('hosts')}>See hosts</a>
        </p>
      )}
      {status.host.visitors.length === 0 ? null : (
        <p className="soft">
          {count(status.host.visitors.length, 'visiting VM')} on this computer. <a href={href('hosts')}>See visitors</a>
        </p>
      )}
    </View>
  );
}
