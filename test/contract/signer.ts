/**
 * What every signer promises the CA, wherever its key lives: a file, a YubiHSM (plainly and under a template), PKCS#11.
 * `ssh-keygen` is the judge: it verifies the CA's signature when it reads a certificate.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { Signer } from '#ca-lite/signer/signer.ts';
import {
  assembleCertificate,
  type CertificateFields,
  decodeCertificate,
  encodeToBeSigned,
  verifyCertificateSignature,
} from '#openssh/certificate.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { keyTypes } from '#openssh/key-type.ts';
import type { PublicKey } from '#openssh/public-key.ts';

/** A signer under test, and what must be closed with it. */
export interface SignerUnderTest extends AsyncDisposable {
  signer: Signer;
}

/** A certificate that every signer signs: an hour long, from half a minute ago. */
export function exampleFields(signatureKey: PublicKey, change: Partial<CertificateFields> = {}): CertificateFields {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return {
    key: { type: 'ssh-ed25519', key: new Uint8Array(Buffer.from(exampleUserKey, 'hex')) },
    type: 'user',
    serial: 1n,
    keyId: 'alice@example.com',
    principals: ['alice'],
    validAfter: now - 30n,
    validBefore: now + 3600n,
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(randomBytes(32)),
    signatureKey,
    ...change,
  };
}

/** A point of Ed25519: the public key of RFC 8032, section 7.1, test 1. */
const exampleUserKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';

/** Signs fields and puts the certificate together. */
export async function certify(signer: Signer, change: Partial<CertificateFields> = {}): Promise<Uint8Array> {
  const tbs = encodeToBeSigned(exampleFields(signer.publicKey, change));
  return assembleCertificate(tbs, await signer.sign(tbs, { priority: 'user' }));
}

/** The suite; `open` makes a fresh signer for each test. */
export function signerContract(name: string, open: () => Promise<SignerUnderTest>): void {
  describe(`the signer contract: ${name}`, () => {
    test('its algorithm is one of its key', async () => {
      await using under = await open();
      const { publicKey, algorithm } = under.signer;
      expect(keyTypes[publicKey.type].signatureAlgorithms).toContain(algorithm);
    });

    test.each(['user', 'host'] as const)('it signs a %s certificate that OpenSSH reads', async (type) => {
      await using under = await open();
      const blob = await certify(under.signer, { type });
      expect(verifyCertificateSignature(decodeCertificate(blob))).toBe(true);
      const listing = await readWithSshKeygen(blob);
      expect(listing).toContain(`ssh-ed25519-cert-v01@openssh.com ${type} certificate`);
      expect(listing).toContain(`(using ${under.signer.algorithm})`);
    });

    test('it signs many certificates at once, each with its own signature', async () => {
      await using under = await open();
      const { signer } = under;
      const blobs = await Promise.all(
        Array.from({ length: 25 }, (_, index) => certify(signer, { serial: BigInt(index + 1) })),
      );
      const certificates = blobs.map(decodeCertificate);
      expect(certificates.map(({ serial }) => serial)).toEqual(blobs.map((_, index) => BigInt(index + 1)));
      expect(certificates.every(verifyCertificateSignature)).toBe(true);
    });
  });
}

async function readWithSshKeygen(blob: Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'signer-contract-'));
  try {
    const file = join(directory, 'cert.pub');
    await writeFile(file, `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(blob)}\n`);
    const { stdout } = await execa('ssh-keygen', ['-L', '-f', file]);
    return stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}
