import { HomewardError } from '../../shared/errors.ts';
import { type FileLock, takeLock } from '../process/index.ts';

/**
 * One engine per user.
 * @throws HomewardError `engine-running` where another engine holds the lock.
 */
export async function acquireLock(file: string): Promise<FileLock> {
  const lock = await takeLock(file);
  if (lock.held) return lock;
  const who = lock.by === undefined ? '' : ` (process ${lock.by})`;
  throw new HomewardError('engine-running', `An engine is already running for this user${who}.`, {
    hint: 'Use it, or stop it first: homeward engine stop',
  });
}
