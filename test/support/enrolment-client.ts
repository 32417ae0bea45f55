/**
 * A client that speaks docs/enrolment-protocol.md step by step, so that a test can do each step wrongly. Answers come back as they
 * are: nothing throws for a refusal.
 */
import type { KeyObject } from 'node:crypto';
import { Agent } from 'undici';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import type { ApiErrorBody } from '#protocol/api-error.ts';
import {
  type ChallengeReply,
  type HostCertificateReply,
  PROOF_NAMESPACE,
  type TokenReply,
  proofMessage,
} from '#protocol/host-challenge.ts';
import type { SshSignReply } from '#protocol/step-api.ts';

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Undefined for what is no JSON. */
  readonly json: (Body & Partial<ApiErrorBody>) | undefined;
  readonly text: string;
}

/** A host key with its private half, as sshd has it. */
export interface HostKeyPair {
  readonly privateKey: KeyObject;
  readonly blob: Uint8Array;
  readonly fingerprint: Fingerprint;
}

export interface Claim {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly fingerprint: string;
  readonly port: number;
  readonly keyType?: string;
}

export interface ClientOptions {
  readonly url: string;
  readonly rootPem: string;
  /** Where requests come from. */
  readonly localAddress?: string;
}

export function hostKeyPair(privateKey: KeyObject): HostKeyPair {
  const blob = encodePublicKey(publicKeyFromObject(privateKey));
  return { privateKey, blob, fingerprint: fingerprintOf(blob) };
}

export class EnrolmentClient implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #url: string;

  constructor({ url, rootPem, localAddress }: ClientOptions) {
    this.#url = url;
    const from = localAddress === undefined ? {} : { localAddress };
    // Hundreds may shake hands at once, on two cores that have much else to do.
    const connect = { ca: [rootPem], timeout: 60_000 };
    this.#agent = new Agent({ connect, ...from, connections: null, pipelining: 1 });
  }

  async request<Body>(method: string, path: string, body?: unknown): Promise<Answer<Body>> {
    const payload =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await this.#agent.request({ origin: this.#url, method: method, path, ...payload });
    const text = await response.body.text();
    return { status: response.statusCode, headers: response.headers, text, json: parse(text) as Answer<Body>['json'] };
  }

  /** Step 2. */
  async challenge(claim: Claim): Promise<Answer<ChallengeReply>> {
    return this.request('GET', `/host/challenge?${queryOf(claim).toString()}`);
  }

  /** Step 4, with the proof of step 3. */
  async token(challenge: ChallengeReply, proof: string, voucher?: string): Promise<Answer<TokenReply>> {
    const { payload, signature } = challenge;
    return this.request('POST', '/host/token', {
      payload,
      signature,
      proof,
      ...(voucher === undefined ? {} : { voucher }),
    });
  }

  /** After a lost answer of step 5, with the proof of step 3. */
  async certificate(challenge: ChallengeReply, proof: string): Promise<Answer<HostCertificateReply>> {
    const { payload, signature } = challenge;
    return this.request('POST', '/host/certificate', { payload, signature, proof });
  }

  /** Step 5. */
  async sign(token: string, publicKey: Uint8Array, more: object = {}): Promise<Answer<SshSignReply>> {
    return this.request('POST', '/ssh/sign', { publicKey: encodeBase64(publicKey), ott: token, ...more });
  }

  /** All steps; the first answer that is not a success ends it. */
  async enrol(claim: Claim, key: HostKeyPair): Promise<{ certificate: Certificate } | { refused: Answer }> {
    const challenge = await this.challenge(claim);
    if (challenge.status !== 200) return { refused: challenge };
    const token = await this.token(bodyOf(challenge), prove(bodyOf(challenge), key));
    if (token.status !== 200) return { refused: token };
    const signed = await this.sign(bodyOf(token).token, key.blob);
    if (signed.status !== 201) return { refused: signed };
    return { certificate: decodeCertificate(decodeBase64(bodyOf(signed).crt)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}

/** Step 3: the host key signs the two texts of the challenge. */
export function prove(challenge: ChallengeReply, key: HostKeyPair, namespace: string = PROOF_NAMESPACE): string {
  const [algorithm] = keyTypes[publicKeyFromObject(key.privateKey).type].signatureAlgorithms;
  const signature = signWithKeyObject(
    key.privateKey,
    algorithm,
    encodeSshsigToBeSigned(proofMessage(challenge), namespace),
  );
  return encodeBase64(encodeSshsig({ keyBlob: key.blob, namespace, signature }));
}

/** The body of an answer that has to be a success. */
export function bodyOf<Body>({ status, json, text }: Answer<Body>): Body {
  if (status >= 400 || json === undefined) throw new Error(`the CA answered ${status}: ${text}`);
  return json;
}

export function queryOf({ names, addresses, fingerprint, port, keyType }: Claim): URLSearchParams {
  return new URLSearchParams([
    ...names.map((name) => ['name', name]),
    ...addresses.map((address) => ['ip', address]),
    ['fingerprint', fingerprint],
    ['port', String(port)],
    ...(keyType === undefined ? [] : [['keyType', keyType]]),
  ]);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
