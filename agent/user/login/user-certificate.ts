/** The certificate for an ID token: asked for at POST /ssh/sign, and held to what a sign-in gets before anything is done with it. */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { type CertificateFault, findCertificateFault } from '#openssh/certificate-check.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { IdentityProof } from '#protocol/identity-binding.ts';
import { SshSignReply } from '#protocol/step-api.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { LoginError } from './login-error.ts';

/** sshd enforces these on every certificate; others would be refused there. */
const enforcedOptions: ReadonlySet<string> = new Set(['force-command', 'source-address', 'verify-required']);
/** Our clock may be behind the CA's, which dates certificates back by as much. */
const CLOCK_TOLERANCE_SECONDS = 60n;

export interface SignInProof {
  readonly keyBlob: Uint8Array;
  readonly idToken: string;
  /** Undefined for a token that is not bound to the key, where the CA takes those. */
  readonly identityProof: IdentityProof | undefined;
}

/** @throws CaError, among them the CA's refusal; LoginError `certificate-not-ours` */
export async function requestUserCertificate(
  client: CaClient,
  { keyBlob, idToken, identityProof }: SignInProof,
  trustedCas: ReadonlySet<Fingerprint>,
): Promise<Certificate> {
  const body = {
    publicKey: encodeBase64(keyBlob),
    ott: idToken,
    certType: 'user',
    ...(identityProof === undefined ? {} : { identityProof }),
  };
  const { crt } = await client.post('/ssh/sign', body, SshSignReply);
  return acceptUserCertificate(crt, keyBlob, trustedCas);
}

/** What the CA answered, if it is one that this key gets now. @param crt base64 @throws LoginError `certificate-not-ours` */
export function acceptUserCertificate(
  crt: string,
  keyBlob: Uint8Array,
  trustedCas: ReadonlySet<Fingerprint>,
): Certificate {
  const verdict = checkUserCertificate(crt, { keyBlob, trustedCas, now: BigInt(Math.floor(Date.now() / 1000)) });
  if (typeof verdict !== 'string') return verdict;
  throw new LoginError(
    'certificate-not-ours',
    `the CA answered with a certificate that is not as promised: ${verdict}`,
    {
      advice:
        verdict === 'untrusted-ca'
          ? 'It is signed by a key that is not pinned here. If the CA has new keys, run `countersign bootstrap` again.'
          : 'Nothing was added to the agent. This is for the administrator of the CA to look at.',
    },
  );
}

export type UserCertificateFault = CertificateFault | 'malformed' | 'another-key';

/** The certificate when it is one that a sign-in gets, else the first fault. @param text base64 @param expected.now epoch seconds */
export function checkUserCertificate(
  text: string,
  expected: { readonly keyBlob: Uint8Array; readonly trustedCas: ReadonlySet<Fingerprint>; readonly now: bigint },
): Certificate | UserCertificateFault {
  const certificate = decoded(text);
  if (certificate === undefined) return 'malformed';
  const { keyBlob, trustedCas, now } = expected;
  if (!equalBytes(encodePublicKey(certificate.key), keyBlob)) return 'another-key';
  const behind = certificate.validAfter > now && certificate.validAfter - now <= CLOCK_TOLERANCE_SECONDS;
  const at = behind ? certificate.validAfter : now;
  return findCertificateFault(certificate, { type: 'user', now: at, trustedCas, enforcedOptions }) ?? certificate;
}

function decoded(text: string): Certificate | undefined {
  try {
    return decodeCertificate(decodeBase64(text));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
