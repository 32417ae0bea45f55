/** Statements of a CA (protocol/trust.ts), signed for real, and wrong in whichever way a test wants. */
import { type KeyObject, generateKeyPairSync, randomBytes } from 'node:crypto';
import { encodeBase64 } from '#openssh/base64.ts';
import { type CertificateFields, assembleCertificate, encodeToBeSigned, textOption } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { armorSshsig, encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  KRL_NAMESPACE,
  KRL_PATH,
  STATEMENT_PRINCIPAL,
  TRUST_DOCUMENT_TYPE,
  TRUST_NAMESPACE,
  type TrustDocument,
  type TrustReply,
  type TrustedCaKey,
} from '#protocol/trust.ts';

export interface StatementFaults {
  /** In place of what the certificate of a statement key says. */
  readonly certificate?: Partial<CertificateFields>;
  /** In place of the namespace that fits. */
  readonly namespace?: string;
  /** Signed without any certificate. */
  readonly bare?: boolean;
}

export const newCaKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** An SSHSIG blob by a statement key of this host CA. @param now epoch seconds */
export function signStatement(
  hostCa: KeyObject,
  bytes: Uint8Array,
  namespace: string,
  now: bigint,
  faults: StatementFaults = {},
): Uint8Array {
  const key = newCaKey();
  const certified = certify(key, hostCa, now, faults.certificate);
  const keyBlob = faults.bare === true ? encodePublicKey(publicKeyFromObject(key)) : certified;
  const said = faults.namespace ?? namespace;
  const signature = signWithKeyObject(key, 'ssh-ed25519', encodeSshsigToBeSigned(bytes, said));
  return encodeSshsig({ keyBlob, namespace: said, signature });
}

function certify(key: KeyObject, hostCa: KeyObject, now: bigint, fields: Partial<CertificateFields> = {}): Uint8Array {
  const toBeSigned = encodeToBeSigned({
    key: publicKeyFromObject(key),
    type: 'user',
    serial: 1n,
    keyId: 'statement',
    principals: [STATEMENT_PRINCIPAL],
    validAfter: now - 60n,
    validBefore: now + 3600n,
    criticalOptions: [textOption('force-command', '/bin/false')],
    extensions: [],
    nonce: randomBytes(32),
    signatureKey: publicKeyFromObject(hostCa),
    ...fields,
  });
  return assembleCertificate(toBeSigned, signWithKeyObject(hostCa, 'ssh-ed25519', toBeSigned));
}

export function listedKey(key: KeyObject, state: TrustedCaKey['state'] = 'current'): TrustedCaKey {
  const blob = encodePublicKey(publicKeyFromObject(key));
  return { key: encodeBase64(blob), fingerprint: fingerprintOf(blob), state };
}

export interface TrustSample extends Pick<TrustDocument, 'number' | 'hostCas' | 'userCas'> {
  readonly krlNumber?: bigint;
}

export function trustDocument({ number, hostCas, userCas, krlNumber = 0n }: TrustSample, now: bigint): TrustDocument {
  const krl = { number: String(krlNumber), path: KRL_PATH };
  return { type: TRUST_DOCUMENT_TYPE, number, issuedAt: Number(now), hostCas, userCas, krl };
}

/** @param signers host CA keys that vouch for it @param document a `TrustDocument`, or what a test puts in its place */
export function trustReply(
  signers: readonly KeyObject[],
  document: unknown,
  now: bigint,
  faults?: StatementFaults,
): TrustReply {
  const bytes = Buffer.from(JSON.stringify(document));
  const signatures = signers.map((signer) => signStatement(signer, bytes, TRUST_NAMESPACE, now, faults));
  return { payload: encodeBase64(bytes), signatures: signatures.map((blob) => encodeBase64(blob)) };
}

/** What `GET /ssh/krl.sig` answers. */
export function krlSignatures(
  signers: readonly KeyObject[],
  krl: Uint8Array,
  now: bigint,
  faults?: StatementFaults,
): string {
  return signers.map((signer) => armorSshsig(signStatement(signer, krl, KRL_NAMESPACE, now, faults))).join('');
}
