/**
 * Enrolment of a host: challenge, proof and token (docs/enrolment-protocol.md). The shapes on the wire, the signed payload,
 * and the exact bytes that each side signs; shared by the CA and the agent so that they cannot drift apart.
 */
import { Type, type Static } from 'typebox';
import { Base64, FingerprintText, HostName, IpAddress } from './wire-text.ts';

/** SSHSIG namespace of the CA's signature over the payload. */
export const CHALLENGE_NAMESPACE = 'host-challenge@countersign';
/** SSHSIG namespace of the host key's signature over payload and CA signature. */
export const PROOF_NAMESPACE = 'host-proof@countersign';
/** The only principal of the certificate of the challenge key: no account has this name. */
export const CHALLENGE_PRINCIPAL = 'host-challenge@countersign';
/** `type` inside the payload: nothing else that the challenge key signs starts like this. */
export const CHALLENGE_PAYLOAD_TYPE = 'countersign-host-challenge-v1';

export const MAX_NAMES = 8;
export const MAX_ADDRESSES = 8;
export const CHALLENGE_MAX_LIFETIME_SECONDS = 300;

const Names = Type.Array(HostName, { minItems: 1, maxItems: MAX_NAMES, uniqueItems: true });
const Addresses = Type.Array(IpAddress, { minItems: 1, maxItems: MAX_ADDRESSES, uniqueItems: true });
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** `GET /host/challenge?name=..&name=..&ip=..&fingerprint=SHA256:..&port=22` */
export const ChallengeQuery = Type.Object(
  {
    name: Names,
    ip: Addresses,
    fingerprint: FingerprintText,
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, default: 22 })),
    keyType: Type.Optional(
      Type.String({ maxLength: 64, description: 'the type of the key, e.g. ssh-ed25519: spares connections to sshd' }),
    ),
  },
  { additionalProperties: false },
);
export type ChallengeQuery = Static<typeof ChallengeQuery>;

export const ChallengeReply = Type.Object({
  payload: Type.Unsafe<string>({
    ...Base64,
    description: 'base64 of the payload, a JSON text: exactly the bytes that were signed',
  }),
  signature: Type.Unsafe<string>({
    ...Base64,
    description: `base64 of an SSHSIG over the payload, namespace ${CHALLENGE_NAMESPACE}, by a key with a certificate of the host CA`,
  }),
});
export type ChallengeReply = Static<typeof ChallengeReply>;

/** What the CA signs. Times are epoch seconds. */
export const ChallengePayload = Type.Object(
  {
    type: Type.Literal(CHALLENGE_PAYLOAD_TYPE),
    names: Names,
    addresses: Addresses,
    port: Port,
    fingerprint: FingerprintText,
    nonce: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: '32 random bytes, base64url' }),
    issuedAt: Type.Integer({ minimum: 0 }),
    expiresAt: Type.Integer({ minimum: 0, description: `at most ${CHALLENGE_MAX_LIFETIME_SECONDS} s after issuedAt` }),
  },
  { additionalProperties: false },
);
export type ChallengePayload = Static<typeof ChallengePayload>;

/** `POST /host/token` */
export const TokenRequest = Type.Object({
  payload: Type.Unsafe<string>({ ...Base64, description: 'as received' }),
  signature: Type.Unsafe<string>({ ...Base64, description: 'as received' }),
  proof: Type.Unsafe<string>({
    ...Base64,
    description: `base64 of an SSHSIG by the host key over the ASCII text "payload.signature", namespace ${PROOF_NAMESPACE}`,
  }),
  voucher: Type.Optional(
    Type.Unsafe<string>({
      ...Base64,
      description:
        'for a further key of an enrolled host: the same SSHSIG by a host key that is enrolled under each of these names',
    }),
  ),
});
export type TokenRequest = Static<typeof TokenRequest>;

export const TokenReply = Type.Object({
  token: Type.String({ description: 'a one-time token (JWT) for POST /ssh/sign, bound to the proven host key' }),
  principals: Type.Array(Type.String(), { description: 'what the certificate will be valid for' }),
  expiresAt: Type.Integer({ description: 'epoch seconds' }),
});
export type TokenReply = Static<typeof TokenReply>;

/**
 * 200 of `POST /host/certificate`, whose body is that of `POST /host/token`: the certificate that was issued to this key under these names and
 * addresses, when its answer was lost. Only until it was seen in use; nothing is issued or spent, so the body of a refused or
 * even of an accepted `POST /host/token` does, as long as its challenge is good.
 */
export const HostCertificateReply = Type.Object({
  crt: Type.Unsafe<string>({ ...Base64, description: 'the certificate blob' }),
  principals: Type.Array(Type.String(), { description: 'what it is valid for' }),
});
export type HostCertificateReply = Static<typeof HostCertificateReply>;

/** The bytes under the host key's proof: the two base64 texts exactly as received, joined by a full stop. */
export function proofMessage(challenge: ChallengeReply): Uint8Array {
  return new TextEncoder().encode(`${challenge.payload}.${challenge.signature}`);
}
