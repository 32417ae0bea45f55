/**
 * The X.509 half of a new CA directory, in its three kinds: with a root of its own, with a root that the operator brings, or with a
 * request (PKCS #10) that the operator's own PKI signs, after which `import-intermediate` completes it.
 */
import type { KeyObject } from 'node:crypto';
import type { CaLayout, SecretName } from '../directory/layout.ts';
import {
  type X509Identity,
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
  x509Fingerprint,
} from '../x509/certificate-authority.ts';
import { createIntermediateRequest } from '../x509/certificate-request.ts';
import { type RootFiles, importRoot } from './x509-root.ts';

export interface X509Wishes {
  readonly name: string;
  readonly dnsNames: readonly string[];
  readonly passphrase: Uint8Array;
  /** `request`: no root here. */
  readonly root: RootFiles | 'own' | 'request';
}

export interface X509Part {
  /** Text files by path; public, 0644. */
  readonly files: readonly (readonly [path: string, text: string])[];
  readonly secrets: readonly (readonly [SecretName, KeyObject])[];
  /** Null until the intermediate has been imported. */
  readonly rootFingerprint: string | null;
}

/** @throws CommandError for a root that cannot be used */
export async function makeX509Part(wishes: X509Wishes, layout: CaLayout, now: Date): Promise<X509Part> {
  if (wishes.root === 'request') return requestPart(wishes, layout);
  if (wishes.root !== 'own')
    return certifiedPart(wishes, layout, await importRoot(wishes.root, wishes.passphrase, now), now);
  const root = await createRoot(wishes.name, await generateX509Key(), now);
  const part = await certifiedPart(wishes, layout, root, now);
  return { ...part, secrets: [['root', root.privateKey], ...part.secrets] };
}

async function certifiedPart(
  { name, dnsNames }: X509Wishes,
  layout: CaLayout,
  root: X509Identity,
  now: Date,
): Promise<X509Part> {
  const intermediate = await createIntermediate(name, root, await generateX509Key(), now);
  const server = await createServerCertificate(dnsNames, intermediate, await generateX509Key(), now);
  return {
    files: [
      [layout.rootCertificate, root.certificatePem],
      [layout.intermediateCertificate, intermediate.certificatePem],
      [layout.serverCertificate, server.certificatePem],
    ],
    secrets: [
      ['intermediate', intermediate.privateKey],
      ['server', server.privateKey],
    ],
    rootFingerprint: x509Fingerprint(root.certificatePem),
  };
}

async function requestPart({ name }: X509Wishes, layout: CaLayout): Promise<X509Part> {
  const [intermediate, server] = [await generateX509Key(), await generateX509Key()];
  return {
    files: [[layout.intermediateRequest, await createIntermediateRequest(name, intermediate)]],
    secrets: [
      ['intermediate', intermediate],
      ['server', server],
    ],
    rootFingerprint: null,
  };
}
