import { describe, expect, it } from 'vitest';
import { type DomainStatsRecord, LibvirtError, libvirtErrorCode } from '../../../main/libvirt/index.ts';
import { DirtyRates, measureDirtyRate } from '../../../main/monitor/dirty-rate.ts';

const uuid = '11111111-2222-3333-4444-555555555555';
const MiB = 1024 * 1024;
type Result = NonNullable<DomainStatsRecord['stats']['dirtyRate']>;

/** A QEMU that gives these results one after another, the last one for good. */
function qemu(results: readonly Result[], start: () => Promise<void> = async () => undefined) {
  let looked = -1;
  const asked: string[] = [];
  return {
    asked,
    startDirtyRateCalc: async (vm: string) => {
      asked.push(vm);
      await start();
    },
    allStats: async (): Promise<readonly DomainStatsRecord[]> => {
      looked = Math.min(looked + 1, results.length - 1);
      const dirtyRate = results[looked];
      const stats = { vcpus: [], balloon: {}, blocks: [], nets: [], ...(dirtyRate === undefined ? {} : { dirtyRate }) };
      return [{ uuid, name: 'work', params: {}, stats }];
    },
  };
}

const refusing = (code: number) => () =>
  Promise.reject(new LibvirtError({ kind: 'libvirt', code, domain: 10, level: 2, message: 'no' }));
const measured: Result = { status: 'measured', mebibytesPerSec: 40 };

class HandClock {
  ms = 0;
  now(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

describe('measuring how fast a VM rewrites memory', () => {
  it('waits until QEMU has measured', async () => {
    expect(await measureDirtyRate(qemu([{ status: 'measuring' }, measured]), uuid)).toBe(40 * MiB);
  });

  it('takes the result of a measuring that is under way', async () => {
    const busy = qemu([{ status: 'measuring' }, measured], refusing(libvirtErrorCode.INTERNAL_ERROR));
    expect(await measureDirtyRate(busy, uuid)).toBe(40 * MiB);
  });

  it('fails where QEMU cannot', async () => {
    const old = qemu([], refusing(libvirtErrorCode.OPERATION_UNSUPPORTED));
    await expect(measureDirtyRate(old, uuid)).rejects.toMatchObject({ code: libvirtErrorCode.OPERATION_UNSUPPORTED });
  });
});

describe('the figures of a window', () => {
  function rates() {
    const clock = new HandClock();
    const want = { it: true };
    return { clock, want, rates: new DirtyRates(() => want.it, clock) };
  }

  it('are taken every ten seconds while somebody looks on, and forgotten when nobody does', async () => {
    const { clock, want, rates: dirty } = rates();
    const vm = qemu([measured]);
    await dirty.tick(uuid, async () => vm);
    expect(dirty.of(uuid)).toBe(40 * MiB);
    clock.ms = 9_000;
    await dirty.tick(uuid, async () => vm);
    expect(vm.asked).toHaveLength(1);
    clock.ms = 10_000;
    await dirty.tick(uuid, async () => vm);
    expect(vm.asked).toHaveLength(2);
    want.it = false;
    clock.ms = 20_000;
    await dirty.tick(uuid, async () => vm);
    expect(vm.asked).toHaveLength(2);
    expect(dirty.of(uuid)).toBeUndefined();
  });

  it('cost nothing, not even a connection, while nobody looks on', async () => {
    const { want, rates: dirty } = rates();
    want.it = false;
    await dirty.tick(uuid, () => Promise.reject(new Error('nobody was to be asked')));
    expect(dirty.of(uuid)).toBeUndefined();
  });

  it('grow old', async () => {
    const { clock, rates: dirty } = rates();
    await dirty.tick(uuid, async () => qemu([measured]));
    clock.ms = 30_001;
    expect(dirty.of(uuid)).toBeUndefined();
  });

  it('are asked of an older QEMU once, until the VM runs elsewhere', async () => {
    const { clock, want, rates: dirty } = rates();
    const old = qemu([], refusing(libvirtErrorCode.OPERATION_UNSUPPORTED));
    const tick = async (): Promise<void> => {
      clock.ms += 10_000;
      await dirty.tick(uuid, async () => old);
    };
    await tick();
    await tick();
    want.it = false;
    await tick();
    want.it = true;
    await tick();
    expect(old.asked).toHaveLength(1);
    dirty.forget(uuid);
    await tick();
    expect(old.asked).toHaveLength(2);
  });

  it('are tried again after a failure of the moment, silently', async () => {
    const { clock, rates: dirty } = rates();
    await dirty.tick(uuid, () => Promise.reject(new Error('link lost')));
    clock.ms = 10_000;
    await dirty.tick(uuid, async () => qemu([measured]));
    expect(dirty.of(uuid)).toBe(40 * MiB);
  });

  it('are not asked for twice at once', async () => {
    const { clock, rates: dirty } = rates();
    const vm = qemu([{ status: 'measuring' }, measured]);
    const first = dirty.tick(uuid, async () => vm);
    clock.ms = 10_000;
    await dirty.tick(uuid, async () => vm);
    await first;
    expect(vm.asked).toHaveLength(1);
  });
});
