/**
 * What a host or a client needs to trust this CA, in one signed document (`GET /ssh/trust`), and the KRL's signature
 * (`GET /ssh/krl.sig`, for the bytes of `GET /ssh/krl`). Statements of the CA are SSHSIGs by a *statement key*: a short-lived key with a
 * certificate of the host CA, so that no unauthenticated request costs a signature of the CA key. As for challenges, the certificate has
 * user type (ssh-keygen -Y verify takes no other), the one principal {@link STATEMENT_PRINCIPAL}, `force-command=/bin/false`, no extensions.
 *
 * A verifier holds the statement key's certificate to: type user, signed by a host CA key that it trusts *already*, that principal, critical
 * options no other than force-command, and validity at the moment of the statement (for the trust document and the KRL: now, by a
 * clock it believes; for signed time: at the time told).
 */
import { Type, type Static } from 'typebox';
import { Base64, FingerprintText } from './wire-text.ts';

/** The only principal of the certificate of a statement key: no account has this name. */
export const STATEMENT_PRINCIPAL = 'statement@countersign';
/** SSHSIG namespaces, one for each kind of statement. */
export const TRUST_NAMESPACE = 'trust@countersign';
export const KRL_NAMESPACE = 'krl@countersign';

export const TRUST_DOCUMENT_TYPE = 'countersign-trust-v1';

/**
 * `next`: will sign soon; trust it now. `current`: signs. `old`: signs no more, and certificates of it are still in use; trust it.
 * A key that is not listed is not trusted any more.
 */
const CaKeyState = Type.Union([Type.Literal('next'), Type.Literal('current'), Type.Literal('old')]);

export const TrustedCaKey = Type.Object({
  key: Type.Unsafe<string>({ ...Base64, description: 'the blob of the public key' }),
  fingerprint: FingerprintText,
  state: CaKeyState,
});
export type TrustedCaKey = Static<typeof TrustedCaKey>;

/** At least one of each, exactly one `current`, which is the first. */
const CaKeys = Type.Array(TrustedCaKey, { minItems: 1, maxItems: 16 });

/** The signed payload, a JSON text. Unknown members are ignored. */
export const TrustDocument = Type.Object({
  type: Type.Literal(TRUST_DOCUMENT_TYPE),
  /** Grows whenever the lists of keys change: refuse a document with a smaller number than the last one that was taken. */
  number: Type.Integer({ minimum: 1 }),
  /** Epoch seconds. Documents are made anew within the minute that they are asked for. */
  issuedAt: Type.Integer({ minimum: 0 }),
  hostCas: CaKeys,
  userCas: CaKeys,
  krl: Type.Object({
    /** Decimal uint64, "0" before anything was revoked (`GET /ssh/krl` then serves an empty KRL). */
    number: Type.String({ pattern: '^(0|[1-9][0-9]{0,19})$' }),
    /** Path on this CA, e.g. `/ssh/krl`; its SSHSIG is at the path with `.sig`. */
    path: Type.String({ maxLength: 256, pattern: '^/[a-z./]+$' }),
  }),
});
export type TrustDocument = Static<typeof TrustDocument>;

/** `GET /ssh/trust` */
export const TrustReply = Type.Object({
  payload: Type.Unsafe<string>({
    ...Base64,
    description: 'base64 of a TrustDocument: exactly the bytes that were signed',
  }),
  /**
   * base64 of SSHSIGs over the payload, namespace {@link TRUST_NAMESPACE}, one by a statement key of each host CA key that the CA holds,
   * the current one first. One that verifies with a host CA key trusted already is enough.
   */
  signatures: Type.Array(Base64, { minItems: 1, maxItems: 16 }),
});
export type TrustReply = Static<typeof TrustReply>;

/**
 * `GET /ssh/krl` answers the binary KRL (application/octet-stream) with a strong `ETag` and its number as `x-krl-number`; 304 for
 * `If-None-Match`. `GET /ssh/krl.sig` answers armored SSHSIGs (text/plain), namespace {@link KRL_NAMESPACE}, over the bytes of the KRL whose
 * ETag it repeats: one for each host CA key held, the current one first. When the two ETags differ, the KRL changed in between: pull both
 * again. Refuse a KRL with a smaller number than the last one that was taken.
 */
export const KRL_PATH = '/ssh/krl';
export const KRL_NUMBER_HEADER = 'x-krl-number';
