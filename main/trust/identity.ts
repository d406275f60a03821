// @peculiar/x509 resolves its parts through tsyringe, which wants this polyfill loaded first.
import 'reflect-metadata';
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { X509CertificateGenerator } from '@peculiar/x509';
import { HomewardError } from '../../shared/errors.ts';
import { createPrivateFile, isCode } from './private-file.ts';

/** What this machine is to others: a key and the self-signed certificate whose hash is its name. */
export interface Identity {
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

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
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // No name in it: whoever knocks at the port sees it.
    name: 'CN=Homeward',
    // Peers are pinned by hash, so dates decide nothing; a wrong clock must not either.
    notBefore: new Date('2000-01-01T00:00:00Z'),
    notAfter: new Date('9999-12-31T23:59:59Z'),
    signingAlgorithm: algorithm,
    keys,
  });
  const key = createPrivateKey({
    key: Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)),
    format: 'der',
    type: 'pkcs8',
  });
  return {
    fingerprint: fingerprintOf(Buffer.from(certificate.rawData)),
    certificatePem: `${certificate.toString('pem').trim()}\n`,
    keyPem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
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
