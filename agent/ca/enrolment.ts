/**
 * The enrolment of one host key, from the host's side (docs/enrolment-protocol.md): challenge, check, proof, token, certificate, check. A
 * certificate whose answer was lost is fetched, not asked for anew.
 * Does I/O through the client; what is believed is decided in `challenge-check.ts` and `issued-check.ts`.
 */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import type { Certificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import type { Signature } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  ChallengeReply,
  HostCertificateReply,
  PROOF_NAMESPACE,
  TokenReply,
  type TokenRequest,
  proofMessage,
} from '#protocol/host-challenge.ts';
import { SshSignReply, type SshSignRequest } from '#protocol/step-api.ts';
import type { CaClient } from './ca-client.ts';
import { CaError, type CaErrorCode } from './ca-error.ts';
import { type AskedFor, type ChallengeFault, findChallengeFault } from './challenge-check.ts';
import { type IssuedFault, type Promised, checkIssued } from './issued-check.ts';
import { retryByCaTime } from './time-retry.ts';

/** A key that can prove itself, wherever its private half lives. */
export interface ProvingKey {
  readonly blob: Uint8Array;
  readonly fingerprint: Fingerprint;
  sign(data: Uint8Array): Promise<Signature>;
}

/** A `ProvingKey` whose type the CA is told, so that it asks sshd for no other. */
export interface EnrollingKey extends ProvingKey {
  readonly publicKey: PublicKey;
}

export interface EnrolmentRequest {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly port: number;
  readonly key: EnrollingKey;
  /** A key that is enrolled under each of these names: it vouches for this further key of the same host. */
  readonly voucher?: ProvingKey | undefined;
  /** Fingerprints of the host CA keys that were pinned. */
  readonly trustedCas: ReadonlySet<Fingerprint>;
}

/** @throws CaError */
export async function enrolKey(client: CaClient, request: EnrolmentRequest): Promise<Certificate> {
  const challenge = await retryByCaTime(client, async () => fetchChallenge(client, request));
  const body: TokenRequest = { ...challenge, proof: await makeProof(challenge, request.key) };
  if (request.voucher !== undefined) body.voucher = await makeProof(challenge, request.voucher);
  const reply = await requestToken(client, body);
  return reply === undefined ? fetchIssued(client, request, body) : fetchCertificate(client, request, reply);
}

/** Undefined when this key is enrolled already. @throws CaError */
async function requestToken(client: CaClient, body: TokenRequest): Promise<TokenReply | undefined> {
  try {
    return await client.post('/host/token', body, TokenReply);
  } catch (error) {
    if (error instanceof CaError && error.refusal?.code === 'already-enrolled') return undefined;
    throw error;
  }
}

/** The certificate of an enrolment whose last answer was lost. The CA gives it until it was seen in use. */
async function fetchIssued(client: CaClient, request: EnrolmentRequest, body: TokenRequest): Promise<Certificate> {
  const { crt, principals } = await client.post('/host/certificate', body, HostCertificateReply);
  return acceptCertificate(client, request, crt, principals);
}

async function fetchChallenge(client: CaClient, request: EnrolmentRequest): Promise<ChallengeReply> {
  const { names, addresses, port, key } = request;
  const query = new URLSearchParams([
    ...names.map((name) => ['name', name]),
    ...addresses.map((address) => ['ip', address]),
    ['fingerprint', key.fingerprint],
    ['port', String(port)],
    ['keyType', key.publicKey.type],
  ]);
  const { payload, signature } = await client.get('/host/challenge', ChallengeReply, query);
  const challenge = { payload, signature };
  const asked: AskedFor = { names, addresses, port, fingerprint: key.fingerprint };
  const fault = findChallengeFault(challenge, asked, request.trustedCas, client.clock.now());
  if (fault !== undefined) throw challengeError(fault);
  return challenge;
}

async function makeProof(challenge: ChallengeReply, key: ProvingKey): Promise<string> {
  const signature = await key.sign(encodeSshsigToBeSigned(proofMessage(challenge), PROOF_NAMESPACE, 'sha512'));
  return encodeBase64(encodeSshsig({ keyBlob: key.blob, namespace: PROOF_NAMESPACE, hash: 'sha512', signature }));
}

async function fetchCertificate(client: CaClient, request: EnrolmentRequest, reply: TokenReply): Promise<Certificate> {
  const { key, names } = request;
  const body: SshSignRequest = {
    publicKey: encodeBase64(key.blob),
    ott: reply.token,
    certType: 'host',
    keyID: names[0] ?? '',
    principals: reply.principals,
    validAfter: '',
    validBefore: '',
  };
  const { crt } = await client.post('/ssh/sign', body, SshSignReply);
  return acceptCertificate(client, request, crt, reply.principals);
}

async function acceptCertificate(
  client: CaClient,
  { key, trustedCas }: EnrolmentRequest,
  crt: string,
  principals: readonly string[],
): Promise<Certificate> {
  const promised = { keyBlob: key.blob, principals, trustedCas };
  const blob = decodeReplied(crt);
  return retryByCaTime(client, async () => acceptIssued(blob, { ...promised, now: client.clock.now() }));
}

async function acceptIssued(blob: Uint8Array, promised: Promised): Promise<Certificate> {
  const verdict = checkIssued(blob, promised);
  if (verdict.fault !== undefined) throw certificateError(verdict.fault);
  return Promise.resolve(verdict.certificate);
}

function decodeReplied(base64: string): Uint8Array {
  try {
    return decodeBase64(base64);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new CaError('ca-reply-invalid', 'the CA sent a certificate that is not base64', { cause });
  }
}

const clockAdvice = "The CA's own time says the same: its administrator looks at the CA.";

const challengeFaults: Readonly<Record<ChallengeFault, readonly [CaErrorCode, string]>> = {
  malformed: ['challenge-untrusted', 'it is not a signed challenge'],
  'signer-untrusted': ['challenge-untrusted', 'no challenge key of the pinned host CA signed it'],
  'signer-not-valid-now': ['challenge-untrusted', 'the certificate of the key that signed it is not valid now'],
  'signature-invalid': ['challenge-untrusted', 'its signature is not valid'],
  'payload-malformed': ['challenge-altered', 'what it says is not a challenge of this protocol'],
  'payload-differs': ['challenge-altered', 'it is for other names, addresses, port or key than were asked for'],
  'not-valid-now': ['challenge-untrusted', 'it is not valid now'],
};

function challengeError(fault: ChallengeFault): CaError {
  const [code, why] = challengeFaults[fault];
  const concernsTime = fault === 'not-valid-now' || fault === 'signer-not-valid-now';
  return new CaError(code, `the challenge of the CA cannot be trusted: ${why}`, {
    concernsTime,
    advice: concernsTime
      ? clockAdvice
      : 'The host key has signed nothing. If the CA changed its host CA key, pin it again with `countersign bootstrap`; if not, somebody may be posing as the CA: ask its administrator.',
  });
}

const issuedFaults: Readonly<Record<IssuedFault, string>> = {
  malformed: 'it is not a certificate',
  'another-key': 'it is for another key',
  'other-principals': 'it is valid for other names than the CA had said',
  'wrong-type': 'it is not a host certificate',
  'untrusted-ca': 'it is signed by a key that is not a pinned host CA',
  'bad-signature': 'its signature is not valid',
  'not-yet-valid': 'it is not valid yet',
  expired: 'it is not valid any more',
  'no-principals': 'it names no host',
  'principal-not-listed': 'it does not name this host',
  'unknown-critical-option': 'it has a critical option that is not known for hosts',
  revoked: 'it is revoked',
};

function certificateError(fault: IssuedFault): CaError {
  const concernsTime = fault === 'not-yet-valid' || fault === 'expired';
  return new CaError(
    'certificate-unacceptable',
    `the certificate from the CA was not installed: ${issuedFaults[fault]}`,
    {
      concernsTime,
      advice: concernsTime ? clockAdvice : 'This is for the administrator of the CA to repair.',
    },
  );
}
