/**
 * The one table of key types and of the signature algorithms that each may make (RFC 4253 section 6.6, RFC 5656, RFC 8332,
 * RFC 8709, OpenSSH PROTOCOL.u2f and PROTOCOL.certkeys). Everything that asks "which algorithm" asks here.
 * Refused on purpose: DSA, SHA-1 signatures (`ssh-rsa` as a signature algorithm), WebAuthn signatures, and the composite
 * ML-DSA keys of OpenSSH 10.5, which are known by name so that the refusal can say so.
 */
import { FormatError } from './format-error.ts';

export type SignatureAlgorithm =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'rsa-sha2-512'
  | 'rsa-sha2-256'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com';

export type EcdsaKeyType = 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521';

export type KeyType =
  'ssh-ed25519' | EcdsaKeyType | 'ssh-rsa' | 'sk-ssh-ed25519@openssh.com' | 'sk-ecdsa-sha2-nistp256@openssh.com';

export interface KeyTypeFacts {
  /** The algorithm name of a certificate for such a key. */
  readonly certificateType: string;
  /** Allowed signature algorithms, the preferred one first. */
  readonly signatureAlgorithms: readonly [SignatureAlgorithm, ...SignatureAlgorithm[]];
  /** What `ssh-keygen -l` prints in brackets. */
  readonly label: string;
}

export const keyTypes: Readonly<Record<KeyType, KeyTypeFacts>> = {
  'ssh-ed25519': {
    certificateType: 'ssh-ed25519-cert-v01@openssh.com',
    signatureAlgorithms: ['ssh-ed25519'],
    label: 'ED25519',
  },
  'ecdsa-sha2-nistp256': {
    certificateType: 'ecdsa-sha2-nistp256-cert-v01@openssh.com',
    signatureAlgorithms: ['ecdsa-sha2-nistp256'],
    label: 'ECDSA',
  },
  'ecdsa-sha2-nistp384': {
    certificateType: 'ecdsa-sha2-nistp384-cert-v01@openssh.com',
    signatureAlgorithms: ['ecdsa-sha2-nistp384'],
    label: 'ECDSA',
  },
  'ecdsa-sha2-nistp521': {
    certificateType: 'ecdsa-sha2-nistp521-cert-v01@openssh.com',
    signatureAlgorithms: ['ecdsa-sha2-nistp521'],
    label: 'ECDSA',
  },
  'ssh-rsa': {
    certificateType: 'ssh-rsa-cert-v01@openssh.com',
    signatureAlgorithms: ['rsa-sha2-512', 'rsa-sha2-256'],
    label: 'RSA',
  },
  'sk-ssh-ed25519@openssh.com': {
    certificateType: 'sk-ssh-ed25519-cert-v01@openssh.com',
    signatureAlgorithms: ['sk-ssh-ed25519@openssh.com'],
    label: 'ED25519-SK',
  },
  'sk-ecdsa-sha2-nistp256@openssh.com': {
    certificateType: 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
    signatureAlgorithms: ['sk-ecdsa-sha2-nistp256@openssh.com'],
    label: 'ECDSA-SK',
  },
};

const byCertificateType: ReadonlyMap<string, KeyType> = new Map(
  (Object.keys(keyTypes) as KeyType[]).map((type) => [keyTypes[type].certificateType, type]),
);

/** Known, and refused: why, in words for a person. */
const refusedTypes: ReadonlyMap<string, string> = new Map([
  ['ssh-dss', 'DSA keys are obsolete'],
  ['ssh-dss-cert-v01@openssh.com', 'DSA keys are obsolete'],
  ['ssh-mldsa44-ed25519@openssh.com', 'ML-DSA keys are not supported yet'],
  ['ssh-mldsa44-ed25519-cert-v01@openssh.com', 'ML-DSA keys are not supported yet'],
]);

export function isKeyType(name: string): name is KeyType {
  return Object.hasOwn(keyTypes, name);
}

/** The longest algorithm name we know has 44 bytes. */
export const MAX_ALGORITHM_NAME_LENGTH = 64;

/** @throws FormatError `unsupported-algorithm` */
export function keyTypeNamed(name: string): KeyType {
  if (isKeyType(name)) return name;
  throw unsupported('key type', name);
}

/** The key type inside a certificate type, e.g. `ssh-rsa` for `ssh-rsa-cert-v01@openssh.com`; undefined for anything else. */
export function keyTypeOfCertificateType(name: string): KeyType | undefined {
  return byCertificateType.get(name);
}

/** @throws FormatError `unsupported-algorithm` */
export function certifiedKeyTypeNamed(name: string): KeyType {
  const type = byCertificateType.get(name);
  if (type === undefined) throw unsupported('certificate type', name);
  return type;
}

/** @throws FormatError `unsupported-algorithm` unless keys of this type may make this kind of signature */
export function signatureAlgorithmNamed(type: KeyType, name: string): SignatureAlgorithm {
  const found = keyTypes[type].signatureAlgorithms.find((algorithm) => algorithm === name);
  if (found !== undefined) return found;
  if (name === 'ssh-rsa') throw new FormatError('unsupported-algorithm', 'RSA signatures with SHA-1 are refused');
  throw unsupported('signature algorithm', name);
}

function unsupported(what: string, name: string): FormatError {
  const known = refusedTypes.get(name);
  return new FormatError('unsupported-algorithm', known ?? `an unknown ${what} for this use`);
}
