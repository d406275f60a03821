import type { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket, type TlsOptions } from 'node:tls';
import { errorFrom, HomewardError, reportOf } from '../../shared/errors.ts';
import type { HostAddress } from '../../shared/model/host.ts';
import { alpn, StreamAnswer } from '../../shared/wire.ts';
import { fingerprintOf, type Identity } from '../trust/index.ts';

/** To connect, shake hands, say hello and answer it: each. */
export const handshakeTimeoutMs = 10_000;
/** A destroyed connection looks half-closed from the other end; probes find out that nobody is there. */
const keepAliveMs = 30_000;
/** A hello or an answer; more before the newline ends the connection. */
const maxHelloBytes = 8_192;

type Protocol = (typeof alpn)[keyof typeof alpn];

/**
 * What both ends insist on. `rejectUnauthorized` is off because there is no authority to ask: a peer is who
 * its certificate's hash says, and each end compares that by itself before it reads or writes a byte.
 */
function common(identity: Identity) {
  return {
    key: identity.keyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.3',
    // AES-128 first: on ordinary processors it carries a quarter more than AES-256.
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    rejectUnauthorized: false,
  } as const;
}

export function serverOptions(identity: Identity): TlsOptions {
  return {
    ...common(identity),
    requestCert: true,
    ALPNProtocols: Object.values(alpn),
    handshakeTimeout: handshakeTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  };
}

/**
 * Lets one direction of a stream end before the other. Only once it carries a stream: in a handshake, or where
 * somebody still has to say what for, whoever ends has nothing to wait for.
 */
export function keepHalfOpen(socket: TLSSocket): void {
  socket.allowHalfOpen = true;
}

/** Hash of the certificate the other end proved to own; undefined where it showed none. */
export function peerFingerprint(socket: TLSSocket): string | undefined {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : fingerprintOf(certificate.raw);
}

/**
 * A TLS connection for `protocol` to whoever answers at `address`, and who that is. Nothing has been sent
 * over it.
 * @throws HomewardError `host-unreachable`, `incompatible`, `timeout`, `cancelled`
 */
export async function dial(
  identity: Identity,
  { address, port }: HostAddress,
  protocol: Protocol,
  { signal, timeoutMs = handshakeTimeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined } = {},
): Promise<{ socket: TLSSocket; fingerprint: string }> {
  if (signal?.aborted === true) throw new HomewardError('cancelled', 'Connecting was given up.');
  const options = { ...common(identity), host: address, port, ALPNProtocols: [protocol], servername: '' };
  const socket = connect(options);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  const where = `${address} port ${port}`;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else {
        socket.destroy();
        reject(error);
      }
    };
    const onAbort = (): void => settle(new HomewardError('cancelled', `Connecting to ${where} was given up.`));
    const deadline = setTimeout(
      () => settle(new HomewardError('timeout', `${where} did not answer within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    signal?.addEventListener('abort', onAbort);
    socket.once('secureConnect', () => settle());
    socket.on('error', (cause) => settle(dialError(where, cause)));
    socket.once('close', () => settle(new HomewardError('host-unreachable', `${where} hung up.`)));
  });
  const fingerprint = peerFingerprint(socket);
  if (fingerprint === undefined || socket.alpnProtocol !== protocol) {
    socket.destroy();
    throw new HomewardError('host-unreachable', `At ${where} there is something else than Homeward.`);
  }
  return { socket, fingerprint };
}

function dialError(where: string, cause: Error): HomewardError {
  if ('code' in cause && cause.code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') {
    return new HomewardError('incompatible', `At ${where} there is a Homeward of another version.`, {
      hint: 'Install the same version on both machines.',
      cause,
    });
  }
  return new HomewardError('host-unreachable', `${where} cannot be reached: ${cause.message}`, { cause });
}

/** `dial`, insisting on whom it reaches. @throws also HomewardError `not-paired`: somebody else answered */
export async function dialPinned(
  identity: Identity,
  pinned: string,
  address: HostAddress,
  protocol: Protocol,
  options: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined } = {},
): Promise<TLSSocket> {
  const { socket, fingerprint } = await dial(identity, address, protocol, options);
  if (fingerprint === pinned) return socket;
  socket.destroy();
  throw new HomewardError('not-paired', `At ${address.address} port ${address.port} answers another machine.`, {
    hint: 'If the workstation’s Homeward was set up anew, forget it and pair again.',
  });
}

/**
 * One line off the start of `socket`; what follows it stays there to be read. Leaves the socket paused.
 * @throws HomewardError `timeout`, `bad-input` (too long), `host-unreachable` (ended before)
 */
export async function readLine(socket: TLSSocket, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let taken = Buffer.alloc(0);
    const settle = (outcome: string | HomewardError): void => {
      clearTimeout(deadline);
      socket.off('readable', onReadable).off('end', onGone).off('close', onGone).off('error', onGone);
      if (typeof outcome === 'string') resolve(outcome);
      else reject(outcome);
    };
    const onGone = (): void => settle(new HomewardError('host-unreachable', 'The connection ended early.'));
    const onReadable = (): void => {
      for (let chunk = take(socket); chunk !== null; chunk = take(socket)) {
        const newline = chunk.indexOf(0x0a);
        const part = newline < 0 ? chunk : chunk.subarray(0, newline);
        if (taken.length + part.length > maxHelloBytes) {
          settle(new HomewardError('bad-input', `A first line longer than ${maxHelloBytes} bytes.`));
          return;
        }
        taken = Buffer.concat([taken, part]);
        if (newline < 0) continue;
        const rest = chunk.subarray(newline + 1);
        settle(taken.toString('utf8'));
        if (rest.length > 0) socket.unshift(rest);
        return;
      }
    };
    const deadline = setTimeout(
      () => settle(new HomewardError('timeout', `Nothing said within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    socket.on('readable', onReadable).on('end', onGone).on('close', onGone).on('error', onGone);
    if (socket.readableEnded || socket.destroyed) onGone();
    else onReadable();
  });
}

function take(socket: TLSSocket): Buffer | null {
  const chunk: unknown = socket.read();
  return Buffer.isBuffer(chunk) ? chunk : null;
}

export function sendLine(socket: TLSSocket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

/** The host's first word on a control or stream connection: yes. */
export function accept(socket: TLSSocket): void {
  sendLine(socket, { ok: true } satisfies StreamAnswer);
}

/** Or no and why, and the connection ends. */
export function refuse(socket: TLSSocket, why: unknown): void {
  const { code, message, hint } = reportOf(why);
  const error = {
    code,
    message: message.slice(0, 1_000),
    ...(hint === undefined ? {} : { hint: hint.slice(0, 1_000) }),
  };
  sendLine(socket, { ok: false, error } satisfies StreamAnswer);
  endSoon(socket);
}

/** Waits for that word. @throws HomewardError with the host's reason, or as `readLine` */
export async function awaitAcceptance(socket: TLSSocket, timeoutMs: number): Promise<void> {
  let word: unknown;
  const line = await readLine(socket, timeoutMs);
  try {
    word = JSON.parse(line);
  } catch {
    word = undefined;
  }
  const answer = StreamAnswer.safeParse(word);
  if (!answer.success) throw new HomewardError('bad-input', 'The host’s answer is not what was agreed.');
  if (!answer.data.ok) throw errorFrom(answer.data.error);
}

/** Sends what is still to be sent, then hangs up, whether or not the other end does. */
function endSoon(socket: TLSSocket): void {
  socket.resume();
  socket.end();
  setTimeout(() => socket.destroy(), 1_000).unref();
}
