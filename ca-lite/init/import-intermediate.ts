/** `import-intermediate`: completes a CA directory that was made with `--csr`, once the operator's PKI has signed the request. */
import { X509Certificate, createPublicKey } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { CommandError } from '../command-error.ts';
import type { CaLayout } from '../directory/layout.ts';
import { readSecret } from '../directory/secrets.ts';
import { writeNewFile } from '../files/write-new.ts';
import { x509Fingerprint } from '../x509/certificate-authority.ts';

export interface IntermediateFiles {
  /** The intermediate, and behind it the root if `root` is not given. */
  readonly certificateFile: string;
  readonly rootFile?: string;
}

/** The root's fingerprint, hex. @throws CommandError, and then nothing was written; SecretError */
export async function importIntermediate(
  files: IntermediateFiles,
  layout: CaLayout,
  passphrase: Uint8Array,
  now: Date,
): Promise<string> {
  if (await exists(layout.intermediateCertificate)) {
    throw new CommandError(`${layout.directory} has its intermediate already, and nothing is overwritten.`);
  }
  const [intermediate, ...others] = await readCertificates(files.certificateFile);
  const [root, ...surplus] = files.rootFile === undefined ? others : await readCertificates(files.rootFile);
  if (intermediate === undefined || root === undefined || surplus.length > 0) {
    throw new CommandError(
      'Give the intermediate and exactly one root: both in one file in this order, or the root with --root.',
    );
  }
  const ownKey = createPublicKey(await readSecret(layout, 'intermediate', passphrase));
  const fault =
    findFault(intermediate, root, now) ??
    (intermediate.publicKey.equals(ownKey)
      ? undefined
      : 'it is not for the key of this CA; have the request in certs/intermediate_ca.csr signed');
  if (fault !== undefined) throw new CommandError(`The intermediate cannot be used: ${fault}.`);
  await writeNewFile(layout.rootCertificate, root.toString(), 0o644);
  await writeNewFile(layout.intermediateCertificate, intermediate.toString(), 0o644);
  return x509Fingerprint(root.toString());
}

function findFault(intermediate: X509Certificate, root: X509Certificate, now: Date): string | undefined {
  if (!intermediate.ca) return 'it is not a CA certificate (basicConstraints)';
  if (!root.ca || !root.checkIssued(root)) return 'the root is not a self-signed CA certificate';
  if (!intermediate.checkIssued(root) || !intermediate.verify(root.publicKey))
    return 'that root did not sign it; give the chain without further certificates in between';
  for (const certificate of [intermediate, root]) {
    if (new Date(certificate.validTo) <= now || new Date(certificate.validFrom) > now)
      return 'it or its root is not valid at this time';
  }
  return undefined;
}

async function readCertificates(path: string): Promise<X509Certificate[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CommandError(`${path} cannot be read.`, { cause });
  });
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new CommandError(`${path} does not hold X.509 certificates in PEM.`, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
