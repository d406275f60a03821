import { type ReactNode, useState } from 'react';
import type { Notify, Status } from '../../shared/rpc.ts';
import { formatSince } from '../../shared/view/index.ts';
import { ActButton } from '../components/ActButton.tsx';
import { ComingHome } from '../components/ComingHome.tsx';
import { Confirm } from '../components/Confirm.tsx';
import { Failure } from '../components/Failure.tsx';
import { FigureList } from '../components/FigureList.tsx';
import { Leaving } from '../components/Leaving.tsx';
import { NumberBox } from '../components/NumberBox.tsx';
import { TextBox } from '../components/TextBox.tsx';
import { Toggle } from '../components/Toggle.tsx';
import { View } from '../components/View.tsx';
import { useAction, useCall, useNow, useOnline, useStore, useWindow } from '../hooks.ts';

interface SettingsProps {
  readonly status: Status;
}

const kinds: readonly { readonly key: keyof Notify; readonly label: string; readonly detail: string }[] = [
  { key: 'suggestions', label: 'Suggestions', detail: 'Homeward thinks a move would pay.' },
  { key: 'moves', label: 'Moves', detail: 'A move has begun by itself, or has ended.' },
  { key: 'trouble', label: 'Trouble', detail: 'A host out of reach, a move that failed, a VM lost.' },
  { key: 'pairing', label: 'Pairing', detail: 'Another computer wants to pair.' },
];

export function Settings({ status }: SettingsProps): ReactNode {
  const store = useStore();
  const call = useCall();
  const online = useOnline();
  const facts = useWindow((state) => state.facts);
  const now = useNow(30_000);
  const { preferences } = status;
  const [name, setName] = useState(preferences.name);
  const change = useAction((next: Parameters<typeof changeOf>[1]) => changeOf(call, next));
  const rename = useAction(() => changeOf(call, { name }));
  const login = useAction(async (on: boolean) => store.setFacts(await call('shell.setStartAtLogin', { on })));
  return (
    <View title="Settings">
      <Failure report={change.failure} onDismiss={change.clear} />
      <Failure report={rename.failure} onDismiss={rename.clear} />
      <Failure report={login.failure} onDismiss={login.clear} />
      <section className="card" aria-labelledby="set-general">
        <h2 id="set-general">This computer</h2>
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault();
            rename.run();
          }}
        >
          <TextBox label="Name, as other computers see it" value={name} onChange={setName} />
          <ActButton
            label="Rename"
            busy={rename.busy}
            disabled={!online || name.trim() === '' || name === preferences.name}
            onPress={rename.run}
          />
        </form>
        <NumberBox
          label="Rest of a VM before it is sent away by itself again"
          unit="minutes"
          value={preferences.cooldownS / 60}
          least={0}
          most={1_440}
          onChange={(minutes) => change.run({ cooldownS: Math.round(minutes * 60) })}
        />
        <Toggle
          label="A VM that is away lends the memory it does not use"
          detail="There is less to bring home then. What it needs it has back at once, and at home all of it."
          on={preferences.balloon}
          disabled={!online}
          onChange={(balloon) => change.run({ balloon })}
        />
      </section>
      <ComingHome
        departure={preferences.departure}
        disabled={!online}
        onChange={(departure) => change.run({ departure })}
      />
      <Leaving times={preferences.leaving} />
      <section className="card" aria-labelledby="set-notify">
        <h2 id="set-notify">Notifications</h2>
        {kinds.map(({ key, label, detail }) => (
          <Toggle
            key={key}
            label={label}
            detail={detail}
            on={preferences.notify[key]}
            disabled={!online}
            onChange={(on) => change.run({ notify: { [key]: on } })}
          />
        ))}
      </section>
      <section className="card" aria-labelledby="set-window">
        <h2 id="set-window">Window and tray</h2>
        <Toggle
          label="Closing the window keeps the tray icon"
          detail={
            facts?.tray === false
              ? 'This desktop shows no tray icon now, so closing the window ends it.'
              : 'Otherwise closing it ends the tray icon too. Your VMs go on either way.'
          }
          on={preferences.closeToTray}
          disabled={!online}
          onChange={(closeToTray) => change.run({ closeToTray })}
        />
        <Toggle
          label="Start when I log in"
          on={facts?.startAtLogin ?? false}
          disabled={facts === undefined || login.busy}
          onChange={login.run}
        />
        <div className="buttons buttons-start">
          <Confirm
            label="Quit"
            description="Quit window and tray"
            question="Quit Homeward’s window and tray?"
            act={() => call('shell.quit', {})}
          >
            <p>The engine and all VMs go on, at home and away. Automatic moves go on too.</p>
          </Confirm>
        </div>
      </section>
      <section className="card" aria-labelledby="set-engine">
        <h2 id="set-engine">Engine</h2>
        <FigureList
          figures={[
            { label: 'Version', value: status.version },
            { label: 'Process', value: String(status.pid) },
            { label: 'Running for', value: formatSince(status.startedAt, now) },
            {
              label: 'Fingerprint of this computer',
              value: `${status.fingerprint.slice(0, 8)} ${status.fingerprint.slice(8, 16)}`,
            },
          ]}
        />
      </section>
    </View>
  );
}

type Call = ReturnType<typeof useCall>;

function changeOf(call: Call, next: Parameters<typeof call<'preferences.change'>>[1]): Promise<unknown> {
  return call('preferences.change', next);
}
