import { describe, expect, it } from 'vitest';
import { commonMachineType } from '../../../shared/plan/machine-type.ts';

const debian12 = ['pc-i440fx-7.2', 'pc-q35-2.12', 'pc-q35-6.2', 'pc-q35-7.2'];
const newer = [...debian12, 'pc-q35-8.2', 'pc-q35-10.0'];

describe('a machine type for all hosts', () => {
  it('stays as it is where all know it', () =>
    expect(commonMachineType('pc-q35-6.2', [newer, debian12])).toBe('pc-q35-6.2'));
  it('is the newest older one of its family', () =>
    expect(commonMachineType('pc-q35-10.0', [newer, debian12])).toBe('pc-q35-7.2'));
  it('compares versions by number, not by letter', () =>
    expect(commonMachineType('pc-q35-11.0', [newer, newer])).toBe('pc-q35-10.0'));
  it('never changes the family', () => expect(commonMachineType('virt-8.0', [newer, debian12])).toBeUndefined());
  it('never chooses a newer one', () => expect(commonMachineType('pc-q35-2.9', [newer, debian12])).toBeUndefined());
});
