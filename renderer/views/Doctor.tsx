import type { ReactNode } from 'react';
import type { Finding } from '../../shared/rpc.ts';
import { count, sentence } from '../../shared/view/index.ts';
import { ActButton } from '../components/ActButton.tsx';
import { CopyCommand } from '../components/CopyCommand.tsx';
import { Failure } from '../components/Failure.tsx';
import { Icon } from '../components/Icon.tsx';
import { Loading } from '../components/Loading.tsx';
import { View } from '../components/View.tsx';
import { useAsked, useCall, useOnline } from '../hooks.ts';

const order = ['problem', 'note', 'ok'] as const satisfies readonly Finding['severity'][];
const words = { problem: 'Problem', note: 'Note', ok: 'All well' } as const;
const icons = { problem: 'bad', note: 'warn', ok: 'check' } as const;

export function Doctor(): ReactNode {
  const call = useCall();
  const online = useOnline();
  const { value, failure, loading, again } = useAsked(() => call('doctor.run', {}), '');
  const findings = (value ?? []).toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  const problems = findings.filter(({ severity }) => severity === 'problem').length;
  return (
    <View
      title="Doctor"
      actions={<ActButton label="Examine again" busy={loading && online} disabled={!online} onPress={again} />}
    >
      <Failure report={failure} />
      {value === undefined && failure === undefined ? <Loading words="Examining this computer…" /> : null}
      {value === undefined ? null : (
        <p role="status">
          {problems === 0 ? 'Nothing keeps Homeward from working.' : `${count(problems, 'problem')} to solve.`}
        </p>
      )}
      <ul className="findings">
        {findings.map((finding) => (
          <li key={finding.id} className={`card finding finding-${finding.severity}`}>
            <Icon name={icons[finding.severity]} />
            <div className="stack">
              <h2>
                <span className="hidden">{words[finding.severity]}: </span>
                {finding.title}
              </h2>
              <p>{sentence(finding.detail)}</p>
              {finding.remedy === undefined ? null : <p className="soft">{sentence(finding.remedy)}</p>}
              {finding.command === undefined ? null : <CopyCommand command={finding.command} />}
            </div>
          </li>
        ))}
      </ul>
    </View>
  );
}
