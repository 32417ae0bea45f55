/**
 * The challenge of an enrolment (docs/enrolment-protocol.md, step 2 and 4): making the signed payload, and judging it when it
 * comes back. Pure; the challenge key and its certificate come from `challenge-key.ts`.
 */
import { parseFingerprint, type Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { decodeBase64, encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { decodeSshsig, encodeSshsig, encodeSshsigToBeSigned, verifySshsig } from '#openssh/sshsig.ts';
import { Value } from 'typebox/value';
import {
  CHALLENGE_NAMESPACE,
  CHALLENGE_PAYLOAD_TYPE,
  ChallengePayload,
  type ChallengeReply,
} from '#protocol/host-challenge.ts';
import { type ChallengeKey, isChallengeCertificate } from './challenge-key.ts';

/** What was checked before a challenge is made: each name resolves to these addresses, each address proved the key. */
export interface ProvenHost {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly port: number;
  readonly fingerprint: Fingerprint;
}

export type ChallengeFault = 'challenge-invalid' | 'challenge-expired';

export function makeChallenge(
  host: ProvenHost,
  key: ChallengeKey,
  now: bigint,
  lifetimeSeconds: number,
  nonce: Uint8Array,
): ChallengeReply {
  const payload: ChallengePayload = {
    type: CHALLENGE_PAYLOAD_TYPE,
    names: [...host.names],
    addresses: [...host.addresses],
    port: host.port,
    fingerprint: host.fingerprint,
    nonce: encodeBase64Url(nonce),
    issuedAt: Number(now),
    expiresAt: Number(now) + lifetimeSeconds,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  const signature = key.sign(encodeSshsigToBeSigned(bytes, CHALLENGE_NAMESPACE));
  const sshsig = encodeSshsig({ keyBlob: key.certificateBlob, namespace: CHALLENGE_NAMESPACE, signature });
  return { payload: encodeBase64(bytes), signature: encodeBase64(sshsig) };
}

/**
 * The payload, if one of our own challenge keys signed it and it has not expired. Whether its nonce was used is for the store.
 * @param hostCas fingerprints of the host CA keys; any challenge key that they certify counts, also one of another process of this CA
 */
export function readChallenge(
  challenge: ChallengeReply,
  hostCas: ReadonlySet<Fingerprint>,
  now: bigint,
): ChallengePayload | ChallengeFault {
  const payload = verifiedPayload(challenge, hostCas, now);
  if (payload === undefined || BigInt(payload.issuedAt) > now + 60n) return 'challenge-invalid';
  return BigInt(payload.expiresAt) <= now ? 'challenge-expired' : payload;
}

function verifiedPayload(
  challenge: ChallengeReply,
  hostCas: ReadonlySet<Fingerprint>,
  now: bigint,
): ChallengePayload | undefined {
  try {
    const bytes = decodeBase64(challenge.payload);
    const sshsig = decodeSshsig(decodeBase64(challenge.signature));
    if (sshsig.certificate === undefined || !isChallengeCertificate(sshsig.certificate, hostCas, now)) return undefined;
    if (!verifySshsig(sshsig, bytes, CHALLENGE_NAMESPACE)) return undefined;
    const payload: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (!Value.Check(ChallengePayload, payload)) return undefined;
    parseFingerprint(payload.fingerprint);
    return payload;
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
