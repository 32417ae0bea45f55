/**
 * Renewal, rekeying and revocation of certificates by the key of the certificate itself: `POST /ssh/renew`, `/ssh/rekey`,
 * `/ssh/revoke`, with the SSHPOP token of step-ca (a JWT signed by the key whose header carries the certificate), so that the
 * public `step ssh renew`, `step ssh rekey` and `step ssh revoke` work unmodified. What an answer means for the host, and why a
 * lost one can always be asked for again: docs/lineage.md.
 *
 * Host certificates renew, rekey, revoke themselves and report. User certificates renew, where policy lets them (docs/oidc.md), and revoke
 * themselves; the token is the same, made with the user's key. A user certificate that may not renew is refused with one of the
 * {@link SIGN_IN_CODES}: then only a sign-in helps, or the grant that the message names.
 *
 * The token. Protected header:
 *   alg     by the key: Ed25519 `EdDSA`; ECDSA P-256, P-384, P-521 `ES256`, `ES384`, `ES512`; RSA `RS256`. No other one.
 *   sshpop  standard base64, padded, of the certificate blob
 *   typ     `JWT`, or absent
 * Claims, all required ({@link SshpopClaims}):
 *   iss     {@link SSHPOP_PROVISIONER}
 *   sub     the serial of the certificate, decimal
 *   aud     {@link sshpopAudience}: `https://HOST[:PORT]/1.0/ssh/OPERATION#sshpop/sshpop`; also accepted without `/1.0`
 *   iat, nbf, exp   epoch seconds; `exp` - `iat` is at most {@link SSHPOP_MAX_LIFETIME_SECONDS}
 *   jti     random, 128 bits or more: a token works once. A retry needs a new token, but only when the answer to the old one was lost
 *           or a 401; after 429 and 503 the old one is unspent.
 *
 * What the caller must do for the CA never to take it for a copy: make a new token only from the certificate that is on the disk *now*
 * (read it again for each attempt), and never use or report a new certificate before it is durably written.
 */
import { Type, type Static } from 'typebox';
import { Base64 } from './wire-text.ts';

/** The name of the one SSHPOP provisioner: `iss`, and the end of `aud`. */
export const SSHPOP_PROVISIONER = 'sshpop';
export const SSHPOP_MAX_LIFETIME_SECONDS = 600;
/** How far the clock that made a token may be off: beyond it, make tokens by the time of `GET /time`. */
export const SSHPOP_CLOCK_TOLERANCE_SECONDS = 60;
/** SSHSIG namespace of the new key's signature at a rekey; it signs the ASCII text of `ott`. */
export const REKEY_PROOF_NAMESPACE = 'host-rekey@countersign';

export type SshpopOperation = 'renew' | 'rekey' | 'revoke' | 'status';

/** @param authority `host` or `host:port` by which the CA is reached */
export function sshpopAudience(authority: string, operation: SshpopOperation): string {
  return `https://${authority}/1.0/ssh/${operation}#sshpop/${SSHPOP_PROVISIONER}`;
}

/** JOSE algorithm of a token by the type of the key; a key of another type cannot make one. */
export const sshpopAlgorithms = {
  'ssh-ed25519': 'EdDSA',
  'ecdsa-sha2-nistp256': 'ES256',
  'ecdsa-sha2-nistp384': 'ES384',
  'ecdsa-sha2-nistp521': 'ES512',
  'ssh-rsa': 'RS256',
} as const;

export const SshpopClaims = Type.Object({
  iss: Type.Literal(SSHPOP_PROVISIONER),
  sub: Type.String({ pattern: '^[1-9][0-9]{0,19}$', description: 'the serial of the certificate, decimal' }),
  aud: Type.Union([
    Type.String({ minLength: 1, maxLength: 1024 }),
    Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { minItems: 1, maxItems: 1 }),
  ]),
  iat: Type.Integer({ minimum: 0 }),
  nbf: Type.Integer({ minimum: 0 }),
  exp: Type.Integer({ minimum: 0 }),
  jti: Type.String({ minLength: 16, maxLength: 128 }),
  /** Of `POST /ssh/status` alone: see protocol/status.ts. */
  report: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
});
export type SshpopClaims = Static<typeof SshpopClaims>;

const SshpopToken = Type.String({ minLength: 1, maxLength: 32 * 1024, description: 'the SSHPOP token' });

/** Refusals of `/ssh/renew` for a user certificate that end with a sign-in: policy does not renew it (any more), it has expired, or it is not on record. */
export const SIGN_IN_CODES = ['sign-in-needed', 'renewal-expired', 'certificate-unknown'] as const;

/** `POST /ssh/renew`: the same key, decided anew. */
export const SshRenewRequest = Type.Object({ ott: SshpopToken });
export type SshRenewRequest = Static<typeof SshRenewRequest>;

/**
 * 201 of renew and rekey. Asked again before the new certificate was reported in use, the CA answers with the same certificate.
 * It replaces the old one only when it is reported (`POST /ssh/status`) or renews itself. Of a user there is no report: a certificate that was
 * renewed gives out the same successor for as long as that is not due itself, and stays good until it ends.
 */
export const SshRenewReply = Type.Object({
  crt: Type.Unsafe<string>({ ...Base64, description: 'the certificate blob' }),
  /** Of a user certificate that policy renews: what is left of this sign-in. Absent when a grant allowed it, and for hosts. */
  signIn: Type.Optional(
    Type.Object({
      renewableUntil: Type.Integer({
        minimum: 0,
        description: 'epoch seconds; no certificate of this sign-in is valid longer',
      }),
      renewalsLeft: Type.Integer({ minimum: 0 }),
    }),
  ),
});
export type SshRenewReply = Static<typeof SshRenewReply>;

/** `POST /ssh/rekey`: a certificate for another key, asked for with a certificate that is valid now. */
export const SshRekeyRequest = Type.Object({
  ott: SshpopToken,
  publicKey: Type.Unsafe<string>({ ...Base64, description: 'the blob of the new public key' }),
  proof: Type.Optional(
    Type.Unsafe<string>({
      ...Base64,
      description: `base64 of an SSHSIG by the new key over the text of ott, namespace ${REKEY_PROOF_NAMESPACE}; policy may demand it`,
    }),
  ),
});
export type SshRekeyRequest = Static<typeof SshRekeyRequest>;

/** `POST /ssh/revoke`: a certificate revokes itself, and no other one. */
export const SshRevokeRequest = Type.Object({
  serial: Type.String({ maxLength: 20, description: 'decimal; must be the one of the token' }),
  ott: SshpopToken,
  reasonCode: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
  reason: Type.Optional(Type.String({ maxLength: 512 })),
  passive: Type.Optional(Type.Boolean({ description: 'step clients send true; nothing hangs on it' })),
});
export type SshRevokeRequest = Static<typeof SshRevokeRequest>;

export const SshRevokeReply = Type.Object({ status: Type.Literal('ok') });
