import type { ReactNode } from 'react';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { restartWarnings } from '../../shared/view/index.ts';
import { useCall, useNow } from '../hooks.ts';
import { Confirm } from './Confirm.tsx';

interface RestartHereProps {
  readonly vm: Vm;
  /** The one under way. */
  readonly move: Move | undefined;
}

/** The way on for a VM whose host is lost, with what it costs read first. */
export function RestartHere({ vm, move }: RestartHereProps): ReactNode {
  const call = useCall();
  const now = useNow(10_000);
  return (
    <Confirm
      label="Restart here"
      description={`Restart here from its disk: ${vm.name}`}
      question={`Restart ${vm.name} here from its disk?`}
      act={() => call('vm.restartHere', { vm: vm.uuid, start: true })}
    >
      {restartWarnings(vm, move, now).map((warning) => (
        <p key={warning}>{warning}</p>
      ))}
    </Confirm>
  );
}
