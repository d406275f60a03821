import type { ReactNode } from 'react';
import type { Host } from '../../shared/model/host.ts';
import { hostFigures, hostView, sentence } from '../../shared/view/index.ts';
import { useAction, useCall, useOnline, useStore } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Chip } from './Chip.tsx';
import { Confirm } from './Confirm.tsx';
import { Failure } from './Failure.tsx';
import { FigureList } from './FigureList.tsx';
import { Icon } from './Icon.tsx';

interface HostCardProps {
  readonly host: Host;
}

/** A workstation: whether it can be used, what it can do, and what to do about it. */
export function HostCard({ host }: HostCardProps): ReactNode {
  const store = useStore();
  const call = useCall();
  const online = useOnline();
  const key = host.fingerprint ?? host.name;
  const view = hostView(host);
  const pair = useAction(async () => store.addPairing(await call('pair.start', { host: key })));
  const measure = useAction(() => call('host.benchmark', { host: key }));
  const pairLabel = host.paired ? 'Pair again' : 'Pair';
  const usable = host.paired && host.reachable && host.obstacle === undefined;
  return (
    <article className="card host" aria-label={host.name}>
      <header className="host-head">
        <Icon name="host" />
        <h3>{host.name}</h3>
      </header>
      <p className="soft small">
        <Chip tone={usable ? 'good' : host.paired ? 'warn' : 'plain'}>{usable ? 'ready' : shortState(host)}</Chip>{' '}
        {[view.found, view.address, view.distance].filter((part) => part !== undefined).join(', ')}
      </p>
      {host.obstacle === undefined ? null : <p className="warn-words">{sentence(host.obstacle)}</p>}
      <FigureList figures={hostFigures(host)} />
      <Failure
        report={pair.failure ?? measure.failure}
        onDismiss={pair.failure === undefined ? measure.clear : pair.clear}
      />
      <footer className="buttons buttons-start">
        {host.paired && host.mayPairAnew !== true ? null : (
          <ActButton
            label={pairLabel}
            description={`${pairLabel} with ${host.name}`}
            tone="primary"
            busy={pair.busy}
            disabled={!online}
            onPress={pair.run}
          />
        )}
        {host.paired ? (
          <>
            <ActButton
              label={host.benchmark === undefined ? 'Measure' : 'Measure again'}
              description={`Measure ${host.name}`}
              busy={measure.busy}
              disabled={!online || !host.reachable}
              onPress={measure.run}
            />
            <Confirm
              label="Revoke"
              description={`Revoke the pairing with ${host.name}`}
              question={`Revoke the pairing with ${host.name}?`}
              act={() => call('peers.revoke', { fingerprint: key })}
            >
              <p>
                No VM of this computer can go there any more, until both are paired again. A VM that is there now should
                be brought home first.
              </p>
            </Confirm>
          </>
        ) : host.found === 'manual' ? (
          <Confirm
            label="Forget"
            description={`Forget ${host.name}`}
            question={`Forget ${host.name}?`}
            act={() => call('hosts.forget', { host: key })}
          >
            <p>Its address is no longer tried. You can add it again.</p>
          </Confirm>
        ) : null}
      </footer>
    </article>
  );
}

function shortState(host: Host): string {
  if (!host.paired) return 'not paired';
  if (host.mayPairAnew === true) return 'not paired there';
  return host.reachable ? 'cannot be used now' : 'out of reach';
}
