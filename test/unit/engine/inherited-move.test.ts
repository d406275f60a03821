import { describe, expect, it } from 'vitest';
import type { MoveState } from '../../../shared/machine/move-machine.ts';
import { hostFingerprint, move, vm, vmUuid } from '../samples.ts';
import { away, awayScene } from './away-scene.ts';

const state: MoveState = { phase: 'copying', direction: 'out', flipped: false, cancelAsked: false, looking: false };

describe('a move of an earlier engine whose host is not paired any more', () => {
  async function inherited() {
    const { journal, nextEngine } = await awayScene(() => [], { place: { kind: 'home' }, unreachable: true });
    const record = { visit: away.visit, migrationFolder: '/tmp/homeward-0123456789abcdef', homeXml: '<domain/>' };
    const open = move({ vm: vmUuid, host: hostFingerprint, phase: 'copying', direction: 'out' });
    await journal.append({ kind: 'move', move: open, data: { state: { ...state }, record } });
    const { moves, restarts } = nextEngine({ unpaired: true });
    await moves.recover();
    return { moves, restarts };
  }

  const asked = { by: 'user', reason: 'You asked for it.' } as const;
  const truth = {
    code: 'vm-busy',
    message: 'work was being moved when Homeward last ended, and that move is not taken up yet.',
    hint: 'Not paired any more. Pair it.',
  };

  it('is told of whatever is asked of the VM, with what keeps it', async () => {
    const { moves, restarts } = await inherited();
    await expect(moves.giveUp(vm())).rejects.toMatchObject(truth);
    await expect(restarts.restart(vm(), true)).rejects.toMatchObject(truth);
    await expect(moves.home(vm({ place: away }), asked)).rejects.toMatchObject(truth);
    expect(() => moves.cancel(vm())).toThrow(expect.objectContaining(truth));
    expect(() => moves.finishNow(vm())).toThrow(expect.objectContaining(truth));
  });
});
