/**
 * Worker thread of identity.ts: makes a key and its certificate, posts both, ends. A thread of its own because a key
 * is made once in a machine's life, and what makes it would stay in the engine's memory, 10 MB of it.
 */
// @peculiar/x509 resolves its parts through tsyringe, which wants this polyfill loaded first.
import 'reflect-metadata';
import { createPrivateKey } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { KeyPair } from './identity.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

async function makeKeyPair(): Promise<KeyPair> {
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
    certificatePem: `${certificate.toString('pem').trim()}\n`,
    keyPem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

parentPort?.postMessage(await makeKeyPair());
