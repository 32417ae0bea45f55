/**
 * SSHPOP tokens (protocol/renewal.ts): a JWT (RFC 7515) signed by the host key, with its certificate in the header.
 * Refused on purpose: keys that the CA takes no token from (security keys), and certificates of another key.
 */
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import type { Certificate } from '#openssh/certificate.ts';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { Signature } from '#openssh/signature.ts';
import { MAX_MPINT_LENGTH, WireReader } from '#openssh/wire.ts';
import {
  SSHPOP_PROVISIONER,
  type SshpopClaims,
  type SshpopOperation,
  sshpopAlgorithms,
  sshpopAudience,
} from '#protocol/renewal.ts';
import type { HostKey } from '../host-key.ts';
import { HostError } from '../host-error.ts';

/** Used at once; the rest is for a CA that is busy. */
const LIFETIME_SECONDS = 300;

/** A host key, or the key of a sign-in. */
export type TokenKey = Pick<HostKey, 'publicKey' | 'path' | 'sign'>;

export interface SshpopRequest {
  readonly key: TokenKey;
  /** Of `key`, and durably on the disk. */
  readonly certificate: Certificate;
  readonly operation: SshpopOperation;
  /** `host` or `host:port` of the CA. */
  readonly authority: string;
  /** Epoch seconds. */
  readonly now: bigint;
  /** 16 or more random bytes. */
  readonly id: Uint8Array;
  /** Of the operation `status`: hex SHA-256 of the report. */
  readonly report?: string;
}

type TokenKeyType = keyof typeof sshpopAlgorithms;

/** The signature of SSH that is also the one of JOSE, and the length of one ECDSA number. */
const signatures: Readonly<Record<TokenKeyType, { readonly algorithm: SignatureAlgorithm; readonly half?: number }>> = {
  'ssh-ed25519': { algorithm: 'ssh-ed25519' },
  'ecdsa-sha2-nistp256': { algorithm: 'ecdsa-sha2-nistp256', half: 32 },
  'ecdsa-sha2-nistp384': { algorithm: 'ecdsa-sha2-nistp384', half: 48 },
  'ecdsa-sha2-nistp521': { algorithm: 'ecdsa-sha2-nistp521', half: 66 },
  'ssh-rsa': { algorithm: 'rsa-sha2-256' },
};

/** @throws HostError `key-unusable` */
export async function makeSshpopToken(request: SshpopRequest): Promise<string> {
  const { key, certificate } = request;
  const type = tokenKeyType(key);
  const { algorithm, half } = signatures[type];
  const header = { alg: sshpopAlgorithms[type], typ: 'JWT', sshpop: encodeBase64(certificate.blob) };
  const signed = `${jsonPart(header)}.${jsonPart(claimsOf(request))}`;
  const signature = await key.sign(Buffer.from(signed, 'latin1'), algorithm);
  return `${signed}.${encodeBase64Url(half === undefined ? signature.blob : fixedLength(signature, half))}`;
}

function claimsOf({ certificate, operation, authority, now, id, report }: SshpopRequest): SshpopClaims {
  const iat = Number(now);
  return {
    iss: SSHPOP_PROVISIONER,
    sub: String(certificate.serial),
    aud: sshpopAudience(authority, operation),
    iat,
    nbf: iat,
    exp: iat + LIFETIME_SECONDS,
    jti: encodeBase64Url(id),
    ...(report === undefined ? {} : { report }),
  };
}

function tokenKeyType({ publicKey: { type }, path }: TokenKey): TokenKeyType {
  if (Object.hasOwn(sshpopAlgorithms, type)) return type as TokenKeyType;
  throw new HostError('key-unusable', `${path} is a key of type ${type}, with which no renewal can be asked for`, {
    advice: 'Enrol another key of this host: countersign host enroll',
  });
}

function jsonPart(value: object): string {
  return encodeBase64Url(Buffer.from(JSON.stringify(value)));
}

/** r and s as mpints to r and s of `half` bytes each (RFC 7518 section 3.4). */
function fixedLength({ blob }: Signature, half: number): Uint8Array {
  const reader = new WireReader(blob);
  const fixed = new Uint8Array(2 * half);
  for (const end of [half, 2 * half]) {
    const number = reader.mpint(MAX_MPINT_LENGTH);
    fixed.set(number, end - number.length);
  }
  reader.end();
  return fixed;
}
