/**
 * One enrolment with every byte fixed: what docs/examples/enrolment-vector.json shows. All keys are Ed25519 keys made from a text,
 * all signatures are deterministic, all times and random numbers stand still. Run as a program it prints the file.
 */
import { type KeyObject, createPrivateKey, hash } from 'node:crypto';
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { assembleCertificate, decodeCertificate, encodeToBeSigned, textOption } from '#openssh/certificate.ts';
import { formatCertificateLine } from '#openssh/certificate-line.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  CHALLENGE_NAMESPACE,
  CHALLENGE_PAYLOAD_TYPE,
  CHALLENGE_PRINCIPAL,
  type ChallengePayload,
  type ChallengeReply,
  PROOF_NAMESPACE,
  proofMessage,
} from '#protocol/host-challenge.ts';
import { type Claim, type HostKeyPair, hostKeyPair, prove, queryOf } from './enrolment-client.ts';

/** 2030-01-01 00:00:00 UTC: all of the example happens then. */
const NOW = 1_893_456_000n;

export interface EnrolmentVector {
  readonly note: string;
  /** Epoch seconds at which everything in it is valid. */
  readonly time: number;
  readonly hostCa: string;
  readonly hostKey: string;
  readonly hostPrivateKey: string;
  readonly challengeRequest: string;
  readonly challengeReply: ChallengeReply;
  /** The bytes of the payload as text. */
  readonly payload: string;
  /** What the challenge key signed: base64 of the blob of PROTOCOL.sshsig. */
  readonly challengeSigned: string;
  readonly challengeCertificate: string;
  /** What the host key signs: the message of the SSHSIG, and base64 of the blob with its hash. */
  readonly proofMessage: string;
  readonly proofSigned: string;
  readonly tokenRequest: ChallengeReply & { readonly proof: string };
}

export function makeVector(): EnrolmentVector {
  const [hostCa, challengeKey] = [keyFrom('host CA'), keyFrom('challenge key')];
  const host = hostKeyPair(keyFrom('host key'));
  const claim: Claim = {
    names: ['web1.example.internal', 'www.example.internal'],
    addresses: ['10.0.0.7', 'fd00::7'],
    fingerprint: host.fingerprint,
    port: 22,
    keyType: 'ssh-ed25519',
  };
  const payload = JSON.stringify(payloadOf(claim));
  const certificate = certify(challengeKey, hostCa);
  const signed = encodeSshsigToBeSigned(Buffer.from(payload), CHALLENGE_NAMESPACE);
  const signature = signWithKeyObject(challengeKey, 'ssh-ed25519', signed);
  const sshsig = encodeSshsig({ keyBlob: certificate, namespace: CHALLENGE_NAMESPACE, signature });
  const challengeReply = { payload: encodeBase64(Buffer.from(payload)), signature: encodeBase64(sshsig) };
  const message = proofMessage(challengeReply);
  return {
    note: 'Everything here is public, the keys too: for tests of clients, and for nothing else. docs/enrolment-protocol.md explains it.',
    time: Number(NOW),
    hostCa: formatPublicKeyLine(publicKeyFromObject(hostCa)),
    hostKey: formatPublicKeyLine(publicKeyFromObject(host.privateKey)),
    hostPrivateKey: privateKeyText(host),
    challengeRequest: `GET /host/challenge?${queryOf(claim).toString()}`,
    challengeReply,
    payload,
    challengeSigned: encodeBase64(signed),
    challengeCertificate: formatCertificateLine(decodeCertificate(certificate)),
    proofMessage: Buffer.from(message).toString(),
    proofSigned: encodeBase64(encodeSshsigToBeSigned(message, PROOF_NAMESPACE)),
    tokenRequest: { ...challengeReply, proof: prove(challengeReply, host) },
  };
}

function payloadOf({ names, addresses, port, fingerprint }: Claim): ChallengePayload {
  return {
    type: CHALLENGE_PAYLOAD_TYPE,
    names: [...names],
    addresses: [...addresses],
    port,
    fingerprint,
    nonce: encodeBase64Url(bytesFrom('nonce')),
    issuedAt: Number(NOW),
    expiresAt: Number(NOW) + 120,
  };
}

function certify(key: KeyObject, hostCa: KeyObject): Uint8Array {
  const toBeSigned = encodeToBeSigned({
    key: publicKeyFromObject(key),
    type: 'user',
    serial: 1n,
    keyId: 'Countersign challenge key',
    principals: [CHALLENGE_PRINCIPAL],
    validAfter: NOW - 300n,
    validBefore: NOW + 3600n,
    criticalOptions: [textOption('force-command', '/bin/false')],
    extensions: [],
    nonce: bytesFrom('certificate nonce'),
    signatureKey: publicKeyFromObject(hostCa),
  });
  return assembleCertificate(toBeSigned, signWithKeyObject(hostCa, 'ssh-ed25519', toBeSigned));
}

function privateKeyText({ privateKey }: HostKeyPair): string {
  return encodePrivateKey(privateKey, { random: { checkInt: 0x01020304 }, comment: 'example' });
}

function keyFrom(text: string): KeyObject {
  const d = encodeBase64Url(bytesFrom(text));
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytesFrom(text)]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  if (key.export({ format: 'jwk' }).d !== d) throw new Error('the seed was not taken');
  return key;
}

function bytesFrom(text: string): Buffer {
  return hash('sha256', `Countersign example: ${text}`, 'buffer');
}

export function formatVector(vector: EnrolmentVector): string {
  return `${JSON.stringify(vector, null, 2)}\n`;
}

if (import.meta.main) process.stdout.write(formatVector(makeVector()));
