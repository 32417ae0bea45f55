/** An X.509 root that the operator brings, with its key: it signs our intermediate once, and its key is not kept. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FormatError } from '#openssh/format-error.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { CommandError } from '../command-error.ts';
import type { X509Identity } from '../x509/certificate-authority.ts';

export interface RootFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** @throws CommandError unless it is one valid CA certificate for P-256 with its own key */
export async function importRoot(
  { certificateFile, keyFile }: RootFiles,
  passphrase: Uint8Array,
  now: Date,
): Promise<X509Identity> {
  const certificatePem = await readText(certificateFile);
  if (certificatePem.split('-----BEGIN CERTIFICATE-----').length !== 2) {
    throw new CommandError(
      `${certificateFile} must hold exactly one certificate: step clients refuse a bundle as root.`,
    );
  }
  const certificate = parseCertificate(certificatePem, certificateFile);
  const { privateKey } = parseKey(Buffer.from(await readText(keyFile)), keyFile, passphrase);
  if (!certificate.checkPrivateKey(privateKey))
    throw new CommandError(`${keyFile} is not the key of ${certificateFile}.`);
  if (!certificate.ca) throw new CommandError(`${certificateFile} is not a CA certificate (basicConstraints).`);
  if (new Date(certificate.validTo) <= now) throw new CommandError(`${certificateFile} has expired.`);
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new CommandError(`${certificateFile} has another key than EC P-256..`);
  }
  return { certificatePem, privateKey };
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CommandError(`${path} cannot be read.`, { cause });
  });
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new CommandError(`${path} is not an X.509 certificate in PEM.`, { cause });
  }
}

function parseKey(bytes: Uint8Array, path: string, passphrase: Uint8Array): ReturnType<typeof parseSoftwareKey> {
  try {
    return parseSoftwareKey(bytes, passphrase);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new CommandError(`${path} cannot be read as a private key: ${cause.message}.`, { cause });
  }
}
