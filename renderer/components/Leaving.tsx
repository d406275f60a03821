import { type ReactNode, useState } from 'react';
import { type LeavingTimes, leavingWords, parseLeaving } from '../../shared/model/leaving.ts';
import { useAction, useCall, useOnline, useStore } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { TextBox } from './TextBox.tsx';

interface LeavingProps {
  readonly times: LeavingTimes;
}

/** When a person usually leaves, which no signal tells before. */
export function Leaving({ times }: LeavingProps): ReactNode {
  const store = useStore();
  const call = useCall();
  const online = useOnline();
  const [text, setText] = useState(leavingWords(times));
  const save = useAction(async () => {
    const { leaving } = await call('preferences.change', { leaving: parseLeaving(text) });
    setText(leavingWords(leaving));
    store.say('good', leaving.length === 0 ? 'No time of leaving is set.' : 'VMs are home by then.');
  });
  return (
    <form
      className="card"
      aria-labelledby="set-leaving"
      onSubmit={(event) => {
        event.preventDefault();
        save.run();
      }}
    >
      <h2 id="set-leaving">When you usually leave</h2>
      <p className="soft small">
        VMs that move by themselves are home by then. Before that, they are sent away only for work that will be done in
        time.
      </p>
      <div className="row">
        <TextBox label="Days and times" placeholder="Mon-Fri 17:30, Sat 12:00" value={text} onChange={setText} />
        <ActButton
          label="Save"
          busy={save.busy}
          disabled={!online || text.trim() === leavingWords(times)}
          onPress={save.run}
        />
      </div>
      <Failure report={save.failure} onDismiss={save.clear} />
    </form>
  );
}
