/**
 * What PKCS#11 says about keys and signatures, and what SSH makes of it (PKCS#11 v3.0, sections 2.1, 2.3; RFC 8032). Pure.
 *
 * RSA is signed with CKM_RSA_PKCS over a ready DigestInfo, ECDSA with CKM_ECDSA over a hash: every token has these, and the
 * hash is ours. Refused on purpose: curves that SSH does not use, RSA keys under 2,048 bits.
 */
import { createHash } from 'node:crypto';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import { ecdsaBlobFromFixed, type Signature } from '#openssh/signature.ts';
import { HsmError } from '../yubihsm/errors.ts';

/** CK_KEY_TYPE values. */
export const keyTypes = { rsa: 0x00, ec: 0x03, ecEdwards: 0x40 } as const;
/** CK_MECHANISM_TYPE values. */
export const mechanisms = { rsaPkcs: 0x0001, ecdsa: 0x1041, eddsa: 0x1057 } as const;

/** The attributes of a public key that matter. */
export interface KeyAttributes {
  keyType: number;
  modulus?: Uint8Array;
  exponent?: Uint8Array;
  /** DER: a named curve. */
  ecParams?: Uint8Array;
  /** DER OCTET STRING, or the bare point as some tokens give it. */
  ecPoint?: Uint8Array;
}

const curves = [
  { type: 'ecdsa-sha2-nistp256', oid: '06082a8648ce3d030107', point: 65, hash: 'sha256' },
  { type: 'ecdsa-sha2-nistp384', oid: '06052b81040022', point: 97, hash: 'sha384' },
  { type: 'ecdsa-sha2-nistp521', oid: '06052b81040023', point: 133, hash: 'sha512' },
] as const;

/** CKA_EC_PARAMS of Ed25519: its name as a PrintableString, or the object identifier of RFC 8410. */
const ed25519Params = ['130c656477617264733235353139', '06032b6570'];

const digestInfo = {
  sha256: '3031300d060960864801650304020105000420',
  sha512: '3051300d060960864801650304020305000440',
} as const;

/** The SSH public key with these attributes. Throws {@link HsmError} `bad-input` for a kind that SSH does not use. */
export function publicKeyOf(attributes: KeyAttributes): PublicKey {
  switch (attributes.keyType) {
    case keyTypes.rsa:
      return rsaKey(attributes);
    case keyTypes.ec:
      return ecKey(attributes);
    case keyTypes.ecEdwards:
      return edwardsKey(attributes);
    default:
      throw unusable('it is neither RSA nor EC nor Ed25519');
  }
}

function rsaKey({ modulus, exponent }: KeyAttributes): PublicKey {
  const n = withoutZeros(modulus);
  if (n.length < 256) throw unusable('it is RSA with fewer than 2,048 bits');
  return { type: 'ssh-rsa', exponent: withoutZeros(exponent), modulus: n };
}

function ecKey({ ecParams, ecPoint }: KeyAttributes): PublicKey {
  const oid = hex(ecParams);
  const curve = curves.find((each) => each.oid === oid);
  if (curve === undefined) throw unusable('its curve is not P-256, P-384 or P-521');
  const point = octets(ecPoint, curve.point);
  if (point[0] !== 4) throw unusable('its point is compressed');
  return { type: curve.type, point };
}

function edwardsKey({ ecParams, ecPoint }: KeyAttributes): PublicKey {
  if (!ed25519Params.includes(hex(ecParams))) throw unusable('it is an Edwards key other than Ed25519');
  return { type: 'ssh-ed25519', key: octets(ecPoint, 32) };
}

/** Takes an OCTET STRING of this length apart, or the bare octets. */
function octets(bytes: Uint8Array | undefined, length: number): Uint8Array {
  if (bytes?.length === length) return bytes;
  const header = length < 0x80 ? [4, length] : [4, 0x81, length];
  const fits = bytes?.length === header.length + length && header.every((byte, index) => bytes[index] === byte);
  if (!fits) throw unusable('its point has the wrong length');
  return bytes.subarray(header.length);
}

/** What a token is asked for. */
export interface TokenRequest {
  mechanism: number;
  input: Uint8Array;
  /** The most bytes that the signature can have. */
  maxLength: number;
}

/** The mechanism and its input for a signature over `data`. */
export function requestFor(key: PublicKey, algorithm: SignatureAlgorithm, data: Uint8Array): TokenRequest {
  if (key.type === 'ssh-ed25519') return { mechanism: mechanisms.eddsa, input: data, maxLength: 64 };
  if (key.type === 'ssh-rsa') {
    const hash = algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512';
    const input = Buffer.concat([Buffer.from(digestInfo[hash], 'hex'), createHash(hash).update(data).digest()]);
    return { mechanism: mechanisms.rsaPkcs, input, maxLength: key.modulus.length };
  }
  const curve = curves.find(({ type }) => type === key.type);
  if (curve === undefined) throw unusable('SSH security keys are not in tokens');
  const input = createHash(curve.hash).update(data).digest();
  return { mechanism: mechanisms.ecdsa, input, maxLength: curve.point - 1 };
}

/** The SSH signature of what a token answered: raw, or r and s one behind the other. */
export function signatureFrom(algorithm: SignatureAlgorithm, raw: Uint8Array): Signature {
  const isEcdsa = algorithm.startsWith('ecdsa-');
  if (isEcdsa && (raw.length === 0 || raw.length % 2 !== 0))
    throw new HsmError('answer-malformed', 'not an ECDSA signature');
  return { algorithm, blob: isEcdsa ? ecdsaBlobFromFixed(raw) : raw };
}

function withoutZeros(bytes: Uint8Array | undefined): Uint8Array {
  const start = bytes?.findIndex((byte) => byte !== 0) ?? -1;
  if (bytes === undefined || start < 0) throw unusable('the token does not tell its public half');
  return bytes.subarray(start);
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}

function unusable(why: string): HsmError {
  return new HsmError('bad-input', `the key in the token cannot be a CA key: ${why}`);
}
