import { describe, expect, it } from 'vitest';
import { LibvirtError, libvirtErrorCode } from '../../../main/libvirt/index.ts';
import { inWords, sentencesOf } from '../../../main/migrate/index.ts';
import { errorCodes, HomewardError, usualHints } from '../../../shared/errors.ts';

const libvirt = (code: number, message: string): LibvirtError =>
  new LibvirtError({ kind: 'libvirt', code, domain: 10, level: 2, message });

describe('what is thrown becomes a sentence and what to do', () => {
  it.each(errorCodes)('%s without a hint gets the usual one', (code) => {
    const said = inWords(new HomewardError(code, 'No.', { cause: 'why' }));
    expect(said).toMatchObject({ code, message: 'No.', cause: 'why', hint: usualHints[code] });
    expect(usualHints[code]).toMatch(/\w/);
  });

  it('leaves a better hint alone', () => {
    const error = new HomewardError('refused', 'No.', { hint: 'Ask nicely.' });
    expect(inWords(error)).toBe(error);
  });

  it.each([
    [libvirtErrorCode.NO_DOMAIN, 'unknown-vm'],
    [libvirtErrorCode.AUTH_FAILED, 'permission'],
    [libvirtErrorCode.CPU_INCOMPATIBLE, 'incompatible'],
    [libvirtErrorCode.OPERATION_ABORTED, 'cancelled'],
    [libvirtErrorCode.OPERATION_FAILED, 'libvirt'],
    [999_999, 'libvirt'],
  ])('libvirt’s %i is %s', (number, code) => {
    const said = inWords(libvirt(number, 'no domain with matching uuid'));
    expect(said).toMatchObject({ code, message: 'no domain with matching uuid' });
    expect(said).toHaveProperty('hint', expect.stringMatching(/\w/));
  });

  it('a call of libvirt that hung is a timeout whose effect is not known', () => {
    const hung = new LibvirtError({ kind: 'timeout', message: 'virDomainSuspend', code: 0, domain: 0, level: 2 });
    expect(inWords(hung)).toMatchObject({ code: 'timeout', hint: expect.stringContaining('not known') });
  });

  it('a full disk is a full disk, whoever met it', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(inWords(full)).toMatchObject({ code: 'disk-full', hint: expect.stringContaining('Free some space') });
  });

  it('a fault of the program is not dressed up', () => {
    const fault = new TypeError('x is not a function');
    expect(inWords(fault)).toBe(fault);
  });

  it('as a text: the sentence, ended, then the hint', () => {
    expect(sentencesOf(libvirt(libvirtErrorCode.NO_CONNECT, 'failed to connect'))).toBe(
      'failed to connect. Is libvirtd running? See: homeward doctor',
    );
    expect(sentencesOf(new HomewardError('refused', 'Really?', { hint: 'No.' }))).toBe('Really? No.');
    expect(sentencesOf('odd')).toBe('odd');
  });
});
