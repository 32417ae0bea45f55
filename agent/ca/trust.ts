/**
 * First contact with a CA, as `step ca bootstrap` does it: fetch the root without trusting anybody, compare its hash with the
 * fingerprint that a person brought, and from then on trust TLS under that root alone, over which the SSH CA keys come.
 */
import { X509Certificate, hash } from 'node:crypto';
import { decodeBase64 } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import { RootReply, SshRootsReply } from '#protocol/step-api.ts';
import type { Authority } from '../state/authority.ts';
import { type CaClient, type CaClientOptions, openCaClient } from './ca-client.ts';
import { UNVERIFIED } from './ca-connections.ts';
import { CaError } from './ca-error.ts';

const MAX_CA_KEYS = 64;

export interface PinOptions extends Pick<CaClientOptions, 'url' | 'signal' | 'onWait'> {
  /** Lower-case hex, as `parseRootFingerprint` gives it. */
  readonly rootFingerprint: string;
}

/** @throws CaError */
export async function fetchAuthority(options: PinOptions, now: Date): Promise<Authority> {
  const rootCertificate = await fetchRoot(options);
  await using client = openCaClient({ ...options, root: rootCertificate });
  const { url, rootFingerprint } = options;
  return { url, rootFingerprint, rootCertificate, ...(await fetchCaKeys(client)), pinnedAt: now.toISOString() };
}

/** The root certificate with this fingerprint, PEM. @throws CaError `root-fingerprint-mismatch` and those of requests */
async function fetchRoot(options: PinOptions): Promise<string> {
  await using client = openCaClient({ ...options, root: UNVERIFIED });
  try {
    const { ca } = await client.get(`/root/${options.rootFingerprint}`, RootReply);
    return checkedRoot(ca, options.rootFingerprint);
  } catch (error) {
    if (error instanceof CaError && error.refusal?.status === 404) throw mismatch(options.url, 'has no root with it');
    throw error;
  }
}

/** @returns the certificate as PEM of our own making, so that nothing else in the answer is kept */
function checkedRoot(pem: string, fingerprint: string): string {
  const certificate = parseCertificate(pem);
  if (hash('sha256', certificate.raw, 'hex') !== fingerprint)
    throw mismatch('the server', 'showed another certificate');
  return certificate.toString();
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new CaError('ca-reply-invalid', 'what the CA sent as its root is no certificate', { cause });
  }
}

function mismatch(who: string, what: string): CaError {
  return new CaError('root-fingerprint-mismatch', `the fingerprint is not that of this CA's root: ${who} ${what}`, {
    advice:
      'Nothing was stored. Compare the fingerprint with what `countersign-ca init` printed, and check that the address is the right one. If both are right, somebody else answers at this address.',
  });
}

/** The SSH CA keys, over a client that verifies TLS. @throws CaError `ca-keys-unusable` and those of requests */
export async function fetchCaKeys(client: CaClient): Promise<Pick<Authority, 'hostCaKeys' | 'userCaKeys'>> {
  const { hostKey = [], userKey = [] } = await client.get('/ssh/roots', SshRootsReply);
  if (hostKey.length === 0) throw unusableKeys('it has no host CA key, so it cannot certify hosts');
  if (hostKey.length + userKey.length > MAX_CA_KEYS) throw unusableKeys(`it announces more than ${MAX_CA_KEYS} keys`);
  const keys = { hostCaKeys: decodeKeys(hostKey), userCaKeys: decodeKeys(userKey) };
  // One key for both would make every host a user, and the certificate of the challenge key a login.
  if (keys.hostCaKeys.some((host) => keys.userCaKeys.some((user) => sameKey(host, user)))) {
    throw unusableKeys('it uses one key both as host CA and as user CA');
  }
  return keys;
}

function decodeKeys(texts: readonly string[]): PublicKey[] {
  try {
    return texts.map((text) => decodePublicKey(decodeBase64(text)));
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw unusableKeys(`one of its keys cannot be used: ${cause.message}`);
  }
}

function sameKey(a: PublicKey, b: PublicKey): boolean {
  return equalBytes(encodePublicKey(a), encodePublicKey(b));
}

function unusableKeys(why: string): CaError {
  return new CaError('ca-keys-unusable', `the SSH keys of the CA cannot be trusted: ${why}`, {
    advice: 'This is for the administrator of the CA to repair.',
  });
}
