import { useState } from 'react';
import type { Vm } from '../shared/model/vm.ts';
import type { Plan } from '../shared/rpc.ts';
import { type Action, useAction, useCall } from './hooks.ts';

interface Offload {
  /** Looks first; goes ahead where nothing stands in the way, and asks otherwise. */
  readonly begin: Action<[host: string]>;
  /** After a look that was not clean. */
  readonly goAhead: Action<[]>;
  /** What the look found; undefined where there is nothing to ask. */
  readonly doubts: Plan | undefined;
  readonly forget: () => void;
}

export function useOffload(vm: Vm): Offload {
  const call = useCall();
  const [doubts, setDoubts] = useState<Plan>();
  const begin = useAction(async (host: string) => {
    const plan = await call('move.plan', { vm: vm.uuid, direction: 'out', host });
    if (plan.possible && plan.obstacles.length === 0 && plan.warnings.length === 0) {
      await call('move.offload', { vm: vm.uuid, host });
    } else setDoubts(plan);
  });
  const goAhead = useAction(async () => {
    if (doubts === undefined) return;
    await call('move.offload', { vm: vm.uuid, host: doubts.host });
    setDoubts(undefined);
  });
  return {
    begin,
    goAhead,
    doubts,
    forget: () => {
      goAhead.clear();
      setDoubts(undefined);
    },
  };
}
