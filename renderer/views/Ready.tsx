import type { ReactNode } from 'react';
import type { Vm } from '../../shared/model/vm.ts';
import { sentence, stateWords } from '../../shared/view/index.ts';
import { ActButton } from '../components/ActButton.tsx';
import { Confirm } from '../components/Confirm.tsx';
import { Empty } from '../components/Empty.tsx';
import { Failure } from '../components/Failure.tsx';
import { Loading } from '../components/Loading.tsx';
import { Note } from '../components/Note.tsx';
import { View } from '../components/View.tsx';
import { XmlDiff } from '../components/XmlDiff.tsx';
import { useAction, useAsked, useCall, useOnline, useStore } from '../hooks.ts';
import { href } from '../route.ts';

interface ReadyProps {
  /** Undefined where there is no such VM (any more). */
  readonly vm: Vm | undefined;
}

export function Ready({ vm }: ReadyProps): ReactNode {
  if (vm === undefined) {
    return (
      <View title="Readiness">
        <Empty icon="info" title="This VM is not there">
          <p>
            It may have been removed. <a href={href('overview')}>Back to the overview</a>
          </p>
        </Empty>
      </View>
    );
  }
  return (
    <View title={`Readiness of ${vm.name}`}>
      <p>
        <a href={href('overview')}>← Overview</a>
      </p>
      {vm.adopted ? <Adopted vm={vm} /> : <Preview vm={vm} />}
    </View>
  );
}

interface PartProps {
  readonly vm: Vm;
}

/** What making it ready would change. */
function Preview({ vm }: PartProps): ReactNode {
  const store = useStore();
  const call = useCall();
  const online = useOnline();
  const { value, failure, again } = useAsked((uuid) => call('vm.adoptPreview', { vm: uuid }), vm.uuid);
  const adopt = useAction(async () => {
    await call('vm.adopt', { vm: vm.uuid });
    store.say('good', `${vm.name} is made ready.`);
  });
  return (
    <>
      <p>To move while it runs, {vm.name} needs these changes to its definition. You can undo them at any time.</p>
      <Failure report={failure} />
      {failure === undefined ? null : <ActButton label="Look again" disabled={!online} onPress={again} />}
      {value === undefined && failure === undefined ? <Loading words="Looking at its definition…" /> : null}
      {value === undefined ? null : (
        <>
          <section className="card" aria-labelledby="changes">
            <h2 id="changes">What changes</h2>
            <ul className="plain-list">
              {value.changes.map((change) => (
                <li key={change}>{sentence(change)}</li>
              ))}
            </ul>
            {vm.state === 'shutoff' ? null : (
              <Note tone="warn">
                {vm.name} is {stateWords(vm.state)}; its disk can only change hands while it is off. Shut it down first.
              </Note>
            )}
            <Failure report={adopt.failure} onDismiss={adopt.clear} />
            <div className="buttons buttons-start">
              <ActButton
                label="Make ready"
                tone="primary"
                busy={adopt.busy}
                disabled={!online || vm.state !== 'shutoff'}
                description={`Make ready: ${vm.name}`}
                onPress={adopt.run}
              />
            </div>
          </section>
          <section className="card" aria-labelledby="difference">
            <h2 id="difference">The definition, line by line</h2>
            <XmlDiff before={value.before} after={value.after} />
          </section>
        </>
      )}
    </>
  );
}

/** What is still missing, and the way back. */
function Adopted({ vm }: PartProps): ReactNode {
  const store = useStore();
  const call = useCall();
  return (
    <section className="card" aria-labelledby="state">
      <h2 id="state">{vm.obstacles.length === 0 ? 'Ready to move' : 'Made ready, with something in the way'}</h2>
      {vm.obstacles.length === 0 ? (
        <Note tone="good">Nothing stands in the way of a smooth move.</Note>
      ) : (
        vm.obstacles.map((obstacle) => (
          <Note key={obstacle} tone="warn">
            {sentence(obstacle)}
          </Note>
        ))
      )}
      <p className="soft">
        Its disk is served by Homeward’s storage daemon, so that it can be used from a host. Undoing puts the earlier
        definition back.
      </p>
      <div className="buttons buttons-start">
        <Confirm
          label="Undo"
          description={`Undo what made ${vm.name} ready`}
          question={`Put the earlier definition of ${vm.name} back?`}
          act={async () => {
            await call('vm.release', { vm: vm.uuid });
            store.say('good', `${vm.name} has its earlier definition back.`);
          }}
        >
          <p>
            It has to be off for that, and cannot move any more until it is made ready again. What is on its disk stays
            as it is.
          </p>
        </Confirm>
      </div>
    </section>
  );
}
