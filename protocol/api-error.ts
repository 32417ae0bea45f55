/**
 * The errors of the CA's HTTP API: one JSON shape, one closed list of codes, and the HTTP status of each.
 * `status` and `message` are what step clients read (they trust the `status` of the body); `code` is ours and stable.
 * A message says what happened, why, and what to do next; it never repeats bytes that came from a remote host.
 */
import { Type, type Static } from 'typebox';

/** Each code and its HTTP status. Codes are never renamed or reused. */
export const errorStatuses = {
  // the request itself
  'bad-request': 400,
  'not-found': 404,
  'method-not-allowed': 405,
  'request-timeout': 408,
  'body-too-large': 413,
  'headers-too-large': 431,
  // enrolment: policy
  'enrolment-disabled': 403,
  'name-not-allowed': 403,
  'address-not-allowed': 403,
  'address-forbidden': 403,
  'port-not-allowed': 403,
  // enrolment: DNS
  'name-invalid': 400,
  'name-not-found': 403,
  'name-unresolvable': 503,
  'name-address-mismatch': 403,
  // enrolment: dial-back
  'dial-back-unreachable': 403,
  'dial-back-not-ssh': 403,
  'dial-back-handshake-failed': 403,
  'dial-back-signature-invalid': 403,
  'dial-back-key-not-found': 403,
  'dial-back-too-slow': 403,
  'dial-back-too-much-data': 403,
  // enrolment: challenge and proof
  'challenge-invalid': 403,
  'challenge-expired': 403,
  'challenge-used': 403,
  'proof-invalid': 403,
  'proof-wrong-key': 403,
  'already-enrolled': 409,
  'name-held-by-another-key': 409,
  'voucher-invalid': 403,
  // tokens
  'token-invalid': 401,
  'token-expired': 401,
  'token-not-yet-valid': 401,
  'token-used': 401,
  'token-wrong-audience': 401,
  'token-wrong-key': 403,
  // sign-in with OpenID Connect
  'identity-not-accepted': 403,
  'identity-unbound': 403,
  'identity-provider-unavailable': 503,
  // certificates
  'certificate-type-not-allowed': 403,
  'key-not-supported': 400,
  'key-not-allowed': 403,
  'principal-not-allowed': 403,
  'lifetime-not-allowed': 403,
  'key-revoked': 403,
  // renewal and lineage
  'certificate-unknown': 401,
  'certificate-expired': 403,
  'renewal-expired': 403,
  'renewal-revoked': 403,
  'renewal-no-principals': 403,
  'sign-in-needed': 403,
  'renewal-underway': 503,
  'enrolment-cleared': 403,
  'not-lineage-head': 409,
  'lineage-quarantined': 403,
  'rekey-proof-invalid': 403,
  'report-invalid': 400,
  // revocation
  'not-your-certificate': 403,
  'already-revoked': 400,
  // the CA's own state
  overloaded: 429,
  'store-unavailable': 503,
  'signer-unavailable': 503,
  'signer-refused': 403,
  stopping: 503,
  internal: 500,
} as const;

export type ApiErrorCode = keyof typeof errorStatuses;

export const ApiErrorBody = Type.Object(
  {
    status: Type.Integer({ description: 'The HTTP status, repeated: step clients read this one' }),
    message: Type.String({ description: 'What happened, why, and what to do next' }),
    code: Type.String({ description: 'A stable code, for programs' }),
    requestId: Type.String({ description: 'The id under which the CA logged this request' }),
  },
  { $id: 'ApiError', description: 'Any refusal or failure' },
);
export type ApiErrorBody = Static<typeof ApiErrorBody>;

export function isApiErrorCode(code: string): code is ApiErrorCode {
  return Object.hasOwn(errorStatuses, code);
}
