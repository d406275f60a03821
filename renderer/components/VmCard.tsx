import { lazy, type ReactNode, Suspense } from 'react';
import type { Level, Vm } from '../../shared/model/vm.ts';
import type { Status } from '../../shared/rpc.ts';
import {
  canFinishNow,
  canRestartHere,
  opinionOf,
  primaryAction,
  sentence,
  targets,
  vmView,
} from '../../shared/view/index.ts';
import { useAction, useCall, useNow, useOnline, useStore, useWindow } from '../hooks.ts';
import { useOffload } from '../useOffload.ts';
import { ActButton } from './ActButton.tsx';
import { Chip } from './Chip.tsx';
import { Failure } from './Failure.tsx';
import { MoveEnd } from './MoveEnd.tsx';
import { MoveStrip } from './MoveStrip.tsx';
import { OpinionNote } from './OpinionNote.tsx';
import { PlanSheet } from './PlanSheet.tsx';
import { RestartHere } from './RestartHere.tsx';
import { Toggle } from './Toggle.tsx';
import { VmMenu } from './VmMenu.tsx';
import { VmPrimary } from './VmPrimary.tsx';

/** What a VM does and what to do with it is there before its charts are. */
const VmCharts = lazy(async () => ({ default: (await import('../charts/VmCharts.tsx')).VmCharts }));

interface VmCardProps {
  readonly vm: Vm;
  readonly status: Status;
}

/** One VM where it stands: what it does now, what the policy thinks, and the one thing to do. */
export function VmCard({ vm, status }: VmCardProps): ReactNode {
  const store = useStore();
  const call = useCall();
  const news = useWindow((state) => state.news.find((ended) => ended.vm === vm.uuid));
  const online = useOnline();
  const now = useNow(10_000);
  const offload = useOffload(vm);
  const home = useAction(() => call('move.home', { vm: vm.uuid }));
  const wantHome = useAction((wanted: boolean) => call(wanted ? 'home.want' : 'home.unwant', { vm: vm.uuid }));
  const startHere = useAction(() => call('vm.restartHere', { vm: vm.uuid, start: true }));
  const cancel = useAction(() => call('move.cancel', { vm: vm.uuid }));
  const finish = useAction(() => call('move.finishNow', { vm: vm.uuid }));
  const level = useAction((next: Level) => call('vm.setLevel', { vm: vm.uuid, level: next }));
  const dismiss = useAction(() => call('suggestion.dismiss', { vm: vm.uuid }));
  const never = useAction(() => call('suggestion.dismiss', { vm: vm.uuid, forEver: true }));
  const move = status.moves.find((candidate) => candidate.vm === vm.uuid);
  const primary = primaryAction(vm, status);
  const opinion = opinionOf(vm, status);
  const view = vmView(vm, [], now);
  const host = move?.host ?? (vm.place.kind === 'away' ? vm.place.host : undefined);
  const actions = [offload.begin, home, wantHome, startHere, cancel, finish, level, dismiss, never];
  const failed = actions.find(({ failure }) => failure !== undefined);

  return (
    <article
      className={`card vm${move === undefined ? '' : ' vm-moving'}`}
      aria-label={vm.name}
      style={{ viewTransitionName: `vm-${vm.uuid}` }}
    >
      <header className="vm-head">
        <h3 className="vm-name">{vm.name}</h3>
        <VmMenu
          vm={vm}
          primary={primary}
          targets={targets(status.hosts)}
          suggested={opinion.suggestion?.action === 'offload' ? opinion.suggestion.hostName : undefined}
          finishNow={move !== undefined && canFinishNow(move, status.hosts)}
          disabled={!online}
          onOffload={offload.begin.run}
          onFinishNow={finish.run}
          onNever={never.run}
          onLevel={level.run}
        />
      </header>
      <p className="vm-facts soft small">
        <Chip tone={vm.state === 'running' ? 'good' : vm.state === 'crashed' ? 'bad' : 'plain'}>{view.now}</Chip>{' '}
        {vm.place.kind === 'home' ? view.size : `${view.size}, ${view.place}`}
      </p>
      {move === undefined ? null : <MoveStrip move={move} />}
      {vm.adopted && vm.obstacles.length > 0 ? (
        <p className="small">{sentence(`Not quite ready: ${vm.obstacles.join('; ')}`)}</p>
      ) : null}
      {move === undefined ? (
        <OpinionNote opinion={opinion} />
      ) : (
        <p className="soft small">Why: {sentence(move.reason)}</p>
      )}
      {move !== undefined || news === undefined ? null : (
        <MoveEnd move={news} onDismiss={() => store.dismissNews(news.id)} />
      )}
      {vm.sample === undefined ? null : (
        <Suspense fallback={<div className="charts-wait" />}>
          <VmCharts vm={vm} host={host} />
        </Suspense>
      )}
      <Failure report={failed?.failure} onDismiss={() => failed?.clear()} />
      <footer className="vm-foot">
        <VmPrimary
          vm={vm}
          action={primary}
          online={online}
          offload={offload.begin}
          home={home}
          wantHome={wantHome}
          startHere={startHere}
          cancel={cancel}
        />
        {canRestartHere(vm, status.hosts, move) && primary.kind !== 'start-here' ? (
          <RestartHere vm={vm} move={move} />
        ) : null}
        {opinion.suggestion === undefined || move !== undefined ? null : (
          <ActButton
            label="Not now"
            description={`Not now for ${vm.name}`}
            tone="quiet"
            busy={dismiss.busy}
            disabled={!online}
            onPress={dismiss.run}
          />
        )}
        <Toggle
          label="Automatic"
          description={`Automatic for ${vm.name}`}
          on={vm.level === 'automatic'}
          disabled={!online || level.busy}
          onChange={(on) => level.run(on ? 'automatic' : 'suggest')}
        />
      </footer>
      <PlanSheet plan={offload.doubts} goAhead={offload.goAhead} onClose={offload.forget} />
    </article>
  );
}
