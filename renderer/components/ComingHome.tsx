import type { ReactNode } from 'react';
import type { DepartureChange, DepartureSettings, Trigger } from '../../shared/model/signal.ts';
import { triggers } from '../../shared/model/signal.ts';
import { NumberBox } from './NumberBox.tsx';
import { Toggle } from './Toggle.tsx';

interface ComingHomeProps {
  readonly departure: DepartureSettings;
  readonly disabled: boolean;
  readonly onChange: (change: DepartureChange) => void;
}

interface Words {
  readonly label: string;
  readonly detail: string;
  /** Where a person may want another time than is usual; of mere signs only the command line sets it. */
  readonly time?: string;
}

const words: Readonly<Record<Trigger, Words>> = {
  lid: {
    label: 'The lid is closed',
    detail: 'Sleep waits until VMs are home; not with an external display. After that time they are paused instead.',
    time: 'Time to come home before a closed lid means sleep',
  },
  sleep: {
    label: 'This computer goes to sleep',
    detail: 'There are only seconds: VMs that are away are paused first.',
  },
  battery: {
    label: 'The battery runs low',
    detail: 'At 15 %, or when it lasts less than a quarter of an hour.',
    time: 'Time to come home when the battery runs low',
  },
  dock: { label: 'It leaves its dock or external display', detail: 'A sign that it is about to be carried away.' },
  cable: { label: 'The network cable is pulled out', detail: 'Together with another sign, such as the power cable.' },
  wifi: { label: 'The Wi-Fi fades', detail: 'When it will be gone within a minute.' },
  power: { label: 'The power cable is pulled out', detail: 'Together with another sign, such as the network cable.' },
};

/** When VMs come home by themselves, and how long that may take. */
export function ComingHome({ departure, disabled, onChange }: ComingHomeProps): ReactNode {
  return (
    <section className="card" aria-labelledby="set-departure">
      <h2 id="set-departure">Coming home when this computer leaves</h2>
      {triggers.map((trigger) => {
        const { label, detail, time } = words[trigger];
        const { on } = departure[trigger];
        return (
          <div key={trigger}>
            <Toggle
              label={label}
              detail={detail}
              on={on}
              disabled={disabled}
              onChange={(next) => onChange({ [trigger]: { on: next } })}
            />
            {trigger === 'sleep' || time === undefined || !on ? null : (
              <NumberBox
                label={time}
                unit="minutes"
                value={departure[trigger].deadlineS / 60}
                least={0.5}
                most={60}
                onChange={(minutes) => onChange({ [trigger]: { deadlineS: Math.round(minutes * 60) } })}
              />
            )}
          </div>
        );
      })}
    </section>
  );
}
