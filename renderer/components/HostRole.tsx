import { type ReactNode, useState } from 'react';
import type { HostSettings, Status } from '../../shared/rpc.ts';
import { pastVisitLine, reachedAt } from '../../shared/view/index.ts';
import { useAction, useAsked, useCall, useNow, useOnline } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { Laptops } from './Laptops.tsx';
import { Loading } from './Loading.tsx';
import { NumberBox } from './NumberBox.tsx';
import { Toggle } from './Toggle.tsx';
import { Visitor } from './Visitor.tsx';

interface HostRoleProps {
  readonly host: Status['host'];
}

/** This computer as a host: on or off, its limits, and who is here. */
export function HostRole({ host }: HostRoleProps): ReactNode {
  const call = useCall();
  const now = useNow(10_000);
  // Another window or the command line may have changed them.
  const asked = useAsked(() => call('host.settings', {}), String(host.enabled));
  const peers = useAsked(() => call('peers.list', {}), String(host.visitors.length));
  const laptops = (peers.value ?? []).filter(({ role }) => role === 'laptop');
  return (
    <section className="card" aria-labelledby="host-role">
      <h2 id="host-role">This computer as a host</h2>
      <Failure report={asked.failure} />
      {asked.value === undefined ? (
        asked.failure === undefined ? (
          <Loading words="Asking for its limits…" />
        ) : (
          <ActButton label="Try again" onPress={asked.again} />
        )
      ) : (
        <Limits key={JSON.stringify(asked.value)} settings={asked.value} host={host} onChange={asked.again} />
      )}
      {host.visitors.length === 0 ? (
        <p className="soft small">{host.enabled ? 'No VM of another computer is here.' : ''}</p>
      ) : (
        <>
          <h3>Visitors</h3>
          <ul className="plain-rows">
            {host.visitors.map((visit) => (
              <Visitor key={visit.visit} visit={visit} />
            ))}
          </ul>
        </>
      )}
      {(host.past ?? []).map((visit) => (
        <p key={visit.visit} className="soft small">
          {pastVisitLine(visit, now)}
        </p>
      ))}
      <Laptops laptops={laptops} onChange={peers.again} />
    </section>
  );
}

interface LimitsProps {
  readonly settings: HostSettings;
  readonly host: Status['host'];
  readonly onChange: () => void;
}

const GiB = 1024 ** 3;

function Limits({ settings, host, onChange }: LimitsProps): ReactNode {
  const call = useCall();
  const online = useOnline();
  const [draft, setDraft] = useState(settings);
  const configure = useAction(async (change: Partial<HostSettings>) => {
    await call('host.configure', change);
    onChange();
  });
  const changed = JSON.stringify(draft) !== JSON.stringify(settings);
  return (
    <>
      <Toggle
        label="Let VMs of my other computers run here"
        detail={
          host.enabled && host.port !== undefined
            ? `On, at ${reachedAt(host) ?? `port ${host.port}`}. Only paired computers are let in.`
            : 'Off: no other computer can connect to this one.'
        }
        on={settings.enabled}
        disabled={!online || configure.busy}
        onChange={(enabled) => configure.run({ enabled })}
      />
      <div className="row">
        <NumberBox
          label="Most visitors"
          value={draft.maxVisitors}
          least={0}
          most={64}
          onChange={(maxVisitors) => setDraft({ ...draft, maxVisitors })}
        />
        <NumberBox
          label="Most memory together"
          unit="GiB"
          value={draft.maxMemoryBytes / GiB}
          least={0}
          most={65_536}
          onChange={(gib) => setDraft({ ...draft, maxMemoryBytes: Math.round(gib * GiB) })}
        />
        <NumberBox
          label="Most vCPUs together"
          value={draft.maxVcpus}
          least={1}
          most={1_024}
          onChange={(maxVcpus) => setDraft({ ...draft, maxVcpus })}
        />
        <NumberBox
          label="Keep a silent computer's VM for"
          unit="h"
          value={draft.leaseHours}
          least={1}
          most={8_760}
          onChange={(leaseHours) => setDraft({ ...draft, leaseHours })}
        />
        <NumberBox
          label="Port (0: any)"
          value={draft.port}
          least={0}
          most={65_535}
          onChange={(port) => setDraft({ ...draft, port })}
        />
      </div>
      {changed ? (
        <div className="buttons buttons-start">
          <ActButton
            label="Save limits"
            tone="primary"
            busy={configure.busy}
            disabled={!online}
            onPress={() => {
              const { enabled: _unchanged, ...limits } = draft;
              configure.run(limits);
            }}
          />
          <ActButton label="Put back" onPress={() => setDraft(settings)} />
        </div>
      ) : null}
      <Failure report={configure.failure} onDismiss={configure.clear} />
    </>
  );
}
