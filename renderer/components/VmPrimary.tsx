import type { ReactNode } from 'react';
import type { Vm } from '../../shared/model/vm.ts';
import type { PrimaryAction } from '../../shared/view/index.ts';
import type { Action } from '../hooks.ts';
import { href } from '../route.ts';
import { ActButton } from './ActButton.tsx';

interface VmPrimaryProps {
  readonly vm: Vm;
  readonly action: PrimaryAction;
  readonly online: boolean;
  readonly offload: Action<[host: string]>;
  readonly home: Action<[]>;
  readonly wantHome: Action<[wanted: boolean]>;
  readonly startHere: Action<[]>;
  readonly cancel: Action<[]>;
}

/** The one thing to do with a VM now. */
export function VmPrimary(props: VmPrimaryProps): ReactNode {
  const { vm, action, online, offload, home, wantHome, startHere, cancel } = props;
  switch (action.kind) {
    case 'offload':
      return (
        <ActButton
          label={action.label}
          description={`${action.label}: ${vm.name}`}
          tone="primary"
          icon="out"
          busy={offload.busy}
          disabled={!online}
          onPress={() => offload.run(action.host)}
        />
      );
    case 'home':
      return (
        <ActButton
          label={action.label}
          description={`${action.label}: ${vm.name}`}
          tone="primary"
          icon="back"
          busy={home.busy}
          disabled={!online}
          onPress={home.run}
        />
      );
    case 'want-home':
    case 'unwant-home':
      return (
        <ActButton
          label={action.label}
          description={`${action.label}: ${vm.name}`}
          busy={wantHome.busy}
          disabled={!online}
          onPress={() => wantHome.run(action.kind === 'want-home')}
        />
      );
    case 'start-here':
      return (
        <ActButton
          label={action.label}
          description={`${action.label}: ${vm.name}`}
          tone="primary"
          busy={startHere.busy}
          disabled={!online}
          onPress={startHere.run}
        />
      );
    case 'cancel':
      return (
        <ActButton
          label={action.label}
          description={`${action.label}: move of ${vm.name}`}
          busy={cancel.busy}
          disabled={!online}
          onPress={cancel.run}
        />
      );
    case 'make-ready':
      return (
        <a className="button button-primary" href={href('ready', vm.uuid)} aria-label={`${action.label}: ${vm.name}`}>
          {action.label}
        </a>
      );
    case 'find-host':
      return (
        <a className="button button-primary" href={href('hosts')} aria-label={`${action.label} for ${vm.name}`}>
          {action.label}
        </a>
      );
    case 'none':
      return <p className="soft small vm-why">{action.why}</p>;
  }
}
