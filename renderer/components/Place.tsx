import type { ReactNode } from 'react';
import type { Status } from '../../shared/rpc.ts';
import { hostView, type PlaceView, phaseWords, progressOf, progressView } from '../../shared/view/index.ts';
import { Icon } from './Icon.tsx';
import { VmCard } from './VmCard.tsx';

interface PlaceProps {
  readonly place: PlaceView;
  readonly status: Status;
}

/** Home or a host, with the VMs that stand there and those on their way. */
export function Place({ place, status }: PlaceProps): ReactNode {
  const view = place.host === undefined ? undefined : hostView(place.host);
  const about =
    place.kind === 'home'
      ? 'This computer'
      : [view?.state ?? 'not listed', view?.capacity, view?.distance].filter((part) => part !== undefined).join(', ');
  const away = place.host !== undefined && view?.state !== 'ready';
  return (
    <section className={`place place-${place.kind}`} aria-labelledby={`place-${place.key}`}>
      <header className="place-head">
        <Icon name={place.kind} />
        <div>
          <h2 id={`place-${place.key}`}>{place.kind === 'home' ? `Home · ${place.name}` : place.name}</h2>
          <p className={`small ${away ? 'warn-words' : 'soft'}`}>{about}</p>
        </div>
      </header>
      {place.arriving.map((move) => (
        <p key={move.id} className="arriving">
          <strong>{move.vmName}</strong> is on its way here: {phaseWords(move)}
          <span className="figure"> {progressView(progressOf(move)).percent}</span>
        </p>
      ))}
      {place.vms.map((vm) => (
        <VmCard key={vm.uuid} vm={vm} status={status} />
      ))}
      {place.vms.length === 0 && place.arriving.length === 0 ? (
        <p className="place-empty soft">{place.kind === 'home' ? 'No VM is at home.' : 'No VM is here.'}</p>
      ) : null}
    </section>
  );
}
