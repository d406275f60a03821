import { expect, onTestFinished, test, vi } from 'vitest';
import { WebServer } from '../../../main/shell/web/web-server.ts';

vi.mock('../../../main/process/index.ts', async (original) => ({
  ...(await original<typeof import('../../../main/process/index.ts')>()),
  peerUid: async () => (process.getuid?.() ?? 0) + 1,
}));

test('another user’s process is not answered, whatever it has seen of the address', async () => {
  const server = await WebServer.listen({
    files: () => new Map(),
    connect: () => ({ receive: () => undefined, close: () => undefined }),
    onWindows: () => undefined,
    onFault: () => undefined,
  });
  onTestFinished(() => server.close());
  const answer = await fetch(`${server.origin}/enter`);
  expect(answer.status).toBe(403);
  expect(await answer.text()).toBe('Another user has no business here.');
});
