import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HomewardError } from '../../shared/errors.ts';
import { createPrivateFile, isCode } from '../process/index.ts';

export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** What this machine is to others: a key and the self-signed certificate whose hash is its name. */
export interface Identity extends KeyPair {
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly fingerprint: string;
}

/**
 * The identity kept in `folder`, made there on first use.
 * @throws HomewardError `damaged-file`: it is there but unusable. It is never replaced silently, since every
 * paired machine knows this one by it.
 */
export async function loadIdentity(folder: string): Promise<Identity> {
  const path = join(folder, 'identity.pem');
  const found = await readIfThere(path);
  if (found !== undefined) return parse(path, found);
  const made = await makeIdentity();
  if (await createPrivateFile(path, made.keyPem + made.certificatePem)) return made;
  return parse(path, await readFile(path, 'utf8'));
}

/** A fresh identity, kept nowhere. */
export async function makeIdentity(): Promise<Identity> {
  const worker = new Worker(new URL('./key-worker.ts', import.meta.url), { execArgv: [] });
  // Rejects with what the worker throws.
  const [made]: KeyPair[] = await once(worker, 'message');
  await worker.terminate();
  if (made === undefined) throw new HomewardError('internal', 'No key was made.');
  return { ...made, fingerprint: fingerprintOf(new X509Certificate(made.certificatePem).raw) };
}

/** How a certificate (DER) is named everywhere. */
export function fingerprintOf(certificateDer: Uint8Array): string {
  return createHash('sha256').update(certificateDer).digest('hex');
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new HomewardError('permission', `This machine's key ${path} cannot be read.`, { cause: error });
  }
}

function parse(path: string, pem: string): Identity {
  const block = (label: string): string =>
    new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----\\n`).exec(pem)?.[0] ?? '';
  const keyPem = block('PRIVATE KEY');
  const certificatePem = block('CERTIFICATE');
  try {
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) throw new Error('key and certificate do not match');
    return { fingerprint: fingerprintOf(certificate.raw), certificatePem, keyPem };
  } catch (error) {
    throw new HomewardError('damaged-file', `This machine's key file ${path} is damaged.`, {
      hint: 'Put it back from a backup, or delete it: then a new key is made and every machine must be paired again.',
      cause: error,
    });
  }
}
