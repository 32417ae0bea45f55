/**
 * A CA for tests of the agent: speaks the enrolment protocol over real HTTPS and signs for real, so that what the agent checks is
 * worth checking. It dials nobody back and has no policy. Each misbehaviour that an agent must notice is a switch.
 */
import { type KeyObject, X509Certificate, generateKeyPairSync, hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import {
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
} from '#ca-lite/x509/certificate-authority.ts';
import { decodeBase64, encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { type CertificateFields, assembleCertificate, encodeToBeSigned, textOption } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { decodePublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { decodeSshsig, encodeSshsig, encodeSshsigToBeSigned, verifySshsig } from '#openssh/sshsig.ts';
import {
  CHALLENGE_NAMESPACE,
  CHALLENGE_PAYLOAD_TYPE,
  CHALLENGE_PRINCIPAL,
  type ChallengePayload,
  PROOF_NAMESPACE,
  type TokenRequest,
  proofMessage,
} from '#protocol/host-challenge.ts';
import { TIME_NAMESPACE, TIME_STATEMENT_TYPE, type TimeReply, type TimeStatement } from '#protocol/signed-time.ts';
import type { StatusReport, StatusRequest } from '#protocol/status.ts';
import type { SshSignRequest } from '#protocol/step-api.ts';
import { KRL_PATH, type TrustReply } from '#protocol/trust.ts';
import { signStatement } from './statement-signer.ts';

/** How the CA misbehaves; nothing: it does not. May be changed while it runs. */
export interface FakeCaBehaviour {
  /** Sent for any `/root/…` in place of the root. */
  rootPem?: string;
  /** Signs this with another key than it announces: the certificate of the challenge key, or host certificates. */
  wrongHostCa?: 'challenge' | 'certificate';
  /** Changes the payload before it is signed. */
  alterPayload?: (payload: ChallengePayload) => unknown;
  /** Changes the reply after it is signed. */
  alterSignature?: (signature: Uint8Array) => Uint8Array;
  /** Changes the certificate of the challenge key. */
  challengeCertificate?: Partial<CertificateFields>;
  /** Changes the host certificate. */
  certificate?: Partial<CertificateFields>;
  /** Answers this many requests with an error first. */
  busy?: { times: number; status: number; retryAfter?: string };
  /** Refuses `/host/challenge` with this code. */
  refuse?: { status: number; code: string; message: string };
  /** Refuses `/ssh/status` with this code. */
  refuseReports?: { status: number; code: string; message: string };
  /** Changes the signed time, or puts another in its place. */
  alterTime?: (reply: TimeReply) => TimeReply;
  /** Epoch seconds by its clock; default: the right time. */
  time?: () => number;
  /** What it states (protocol/trust.ts); nothing: it knows no such routes. */
  statements?: Statements;
  /** No user CA key, or the host CA key as user CA key. */
  userCa?: 'none' | 'same-as-host';
}

export interface Statements {
  readonly trust: TrustReply;
  readonly krl: Uint8Array;
  /** Armored. */
  readonly krlSignatures: string;
  /** Of the KRL, as reports are answered with it. */
  readonly krlNumber: bigint;
}

export interface FakeCa extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly rootPem: string;
  /** Hex SHA-256 of the root. */
  readonly fingerprint: string;
  readonly hostCa: KeyObject;
  readonly userCa: KeyObject;
  readonly behaviour: FakeCaBehaviour;
  /** Ends it early; disposing does the same. */
  close(): Promise<void>;
  /** `METHOD path` of each request, without the query. */
  readonly requests: string[];
}

export interface FakeCaOptions {
  readonly behaviour?: FakeCaBehaviour;
  /** Names and addresses of the server certificate. Default: localhost, 127.0.0.1. */
  readonly serverNames?: readonly string[];
  /** Keep these from another one: a CA at another place with the same keys. */
  readonly address?: string;
  readonly port?: number;
  /** When its X.509 certificates were made; the server's is valid for thirty days. Default: now. */
  readonly madeAt?: Date;
}

export async function startFakeCa(options: FakeCaOptions = {}): Promise<FakeCa> {
  const now = options.madeAt ?? new Date();
  const root = await createRoot('Test', await generateX509Key(), now);
  const intermediate = await createIntermediate('Test', root, await generateX509Key(), now);
  const names = options.serverNames ?? ['localhost', '127.0.0.1'];
  const leaf = await createServerCertificate(names, intermediate, await generateX509Key(), now);
  const state = new FakeCaState(root.certificatePem, options.behaviour ?? {});
  const server = createServer(
    {
      cert: `${leaf.certificatePem}\n${intermediate.certificatePem}\n`,
      key: leaf.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    },
    (request, response) => void state.answer(request, response),
  );
  server.listen(options.port ?? 0, options.address ?? '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  const close = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return {
    url: `https://127.0.0.1:${address.port}`,
    port: address.port,
    rootPem: root.certificatePem,
    fingerprint: hash('sha256', new X509Certificate(root.certificatePem).raw, 'hex'),
    hostCa: state.hostCa,
    userCa: state.userCa,
    behaviour: state.behaviour,
    requests: state.requests,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A refusal on its way to the client. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

class FakeCaState {
  readonly hostCa = newKey();
  readonly userCa = newKey();
  readonly requests: string[] = [];
  readonly behaviour: FakeCaBehaviour;
  readonly #rootPem: string;
  readonly #otherCa = newKey();
  readonly #challengeKey = newKey();
  readonly #tokens = new Map<string, ChallengePayload>();

  constructor(rootPem: string, behaviour: FakeCaBehaviour) {
    this.#rootPem = rootPem;
    this.behaviour = behaviour;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://ca.invalid');
    this.requests.push(`${request.method} ${url.pathname}`);
    try {
      if (this.#busy(response)) return;
      if (this.#krl(url.pathname, response)) return;
      const body: unknown = request.method === 'POST' ? JSON.parse(await readBody(request)) : undefined;
      const [status, reply] = this.#route(`${request.method} ${url.pathname}`, url.searchParams, body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'internal', String(error));
      this.#refuse(response, refusal);
    }
  }

  #busy(response: ServerResponse): boolean {
    const { busy } = this.behaviour;
    if (busy === undefined || busy.times === 0) return false;
    busy.times -= 1;
    if (busy.retryAfter !== undefined) response.setHeader('retry-after', busy.retryAfter);
    this.#refuse(response, new Refusal(busy.status, 'overloaded', 'come back later'));
    return true;
  }

  /** Answered as the bytes that they are. */
  #krl(path: string, response: ServerResponse): boolean {
    const { statements } = this.behaviour;
    if (statements === undefined || !path.startsWith(KRL_PATH)) return false;
    const etag = `"${hash('sha256', statements.krl, 'hex')}"`;
    response.writeHead(200, { etag }).end(path.endsWith('.sig') ? statements.krlSignatures : statements.krl);
    return true;
  }

  #trust(): unknown {
    const { statements } = this.behaviour;
    if (statements === undefined) throw new Refusal(404, 'not-found', 'there is nothing here');
    return statements.trust;
  }

  /** Believes every report. */
  #status({ report }: StatusRequest): unknown {
    const { refuseReports: refuse } = this.behaviour;
    if (refuse !== undefined) throw new Refusal(refuse.status, refuse.code, refuse.message);
    const { serial } = JSON.parse(Buffer.from(report, 'base64').toString()) as StatusReport;
    const krlNumber = String(this.behaviour.statements?.krlNumber ?? 0n);
    return { serial, lineage: 'sample', acknowledged: false, krlNumber, renewNow: false };
  }

  #refuse(response: ServerResponse, { status, code, message }: Refusal): void {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status, code, message, requestId: 'test-request' }));
  }

  #route(route: string, query: URLSearchParams, body: unknown): [number, unknown] {
    if (route.startsWith('GET /root/')) return [200, { ca: this.behaviour.rootPem ?? this.#rootPem }];
    switch (route) {
      case 'GET /health':
        return [200, { status: 'ok' }];
      case 'GET /ssh/roots':
        return [200, this.#roots()];
      case 'GET /ssh/trust':
        return [200, this.#trust()];
      case 'POST /ssh/status':
        return [200, this.#status(body as StatusRequest)];
      case 'GET /time':
        return [200, this.#time(query)];
      case 'GET /host/challenge':
        return [200, this.#challenge(query)];
      case 'POST /host/token':
        return [201, this.#token(body as TokenRequest)];
      case 'POST /ssh/sign':
        return [201, this.#sign(body as SshSignRequest)];
      default:
        throw new Refusal(404, 'not-found', 'there is nothing here');
    }
  }

  #roots(): unknown {
    const [host, user] = [encodeBase64(blobOf(this.hostCa)), encodeBase64(blobOf(this.userCa))];
    if (this.behaviour.userCa === 'none') return { hostKey: [host] };
    return { hostKey: [host], userKey: [this.behaviour.userCa === 'same-as-host' ? host : user] };
  }

  #time(query: URLSearchParams): unknown {
    const now = this.behaviour.time?.() ?? Math.floor(Date.now() / 1000);
    const statement: TimeStatement = { type: TIME_STATEMENT_TYPE, nonce: query.get('nonce') ?? '', time: now };
    const bytes = Buffer.from(JSON.stringify(statement));
    const signature = signStatement(this.hostCa, bytes, TIME_NAMESPACE, BigInt(now));
    const reply = { payload: encodeBase64(bytes), signatures: [encodeBase64(signature)] };
    return this.behaviour.alterTime?.(reply) ?? reply;
  }

  #challenge(query: URLSearchParams): unknown {
    const { refuse, alterPayload = (same) => same, alterSignature = (same) => same } = this.behaviour;
    if (refuse !== undefined) throw new Refusal(refuse.status, refuse.code, refuse.message);
    const now = Math.floor(Date.now() / 1000);
    const payload: ChallengePayload = {
      type: CHALLENGE_PAYLOAD_TYPE,
      names: query.getAll('name'),
      addresses: query.getAll('ip'),
      port: Number(query.get('port') ?? '22'),
      fingerprint: query.get('fingerprint') ?? '',
      nonce: encodeBase64Url(randomBytes(32)),
      issuedAt: now,
      expiresAt: now + 300,
    };
    const bytes = new TextEncoder().encode(JSON.stringify(alterPayload(payload)));
    const signature = signWithKeyObject(
      this.#challengeKey,
      'ssh-ed25519',
      encodeSshsigToBeSigned(bytes, CHALLENGE_NAMESPACE),
    );
    const keyBlob = this.#challengeCertificate(BigInt(now));
    const sshsig = encodeSshsig({ keyBlob, namespace: CHALLENGE_NAMESPACE, signature });
    return { payload: encodeBase64(bytes), signature: encodeBase64(alterSignature(sshsig)) };
  }

  #challengeCertificate(now: bigint): Uint8Array {
    return this.#certify({
      key: publicKeyFromObject(this.#challengeKey),
      type: 'user',
      keyId: 'test challenge key',
      principals: [CHALLENGE_PRINCIPAL],
      validAfter: now - 60n,
      validBefore: now + 3600n,
      criticalOptions: [textOption('force-command', '/bin/false')],
      ...this.behaviour.challengeCertificate,
    });
  }

  #token({ payload, signature, proof }: TokenRequest): unknown {
    const sshsig = decodeSshsig(decodeBase64(proof));
    const asked = JSON.parse(Buffer.from(decodeBase64(payload)).toString('utf8')) as ChallengePayload;
    const valid = verifySshsig(sshsig, proofMessage({ payload, signature }), PROOF_NAMESPACE);
    if (!valid || sshsig.hash !== 'sha512') throw new Refusal(403, 'proof-invalid', 'the proof is not valid');
    if (fingerprintOf(sshsig.keyBlob) !== asked.fingerprint) throw new Refusal(403, 'proof-wrong-key', 'another key');
    const token = encodeBase64Url(randomBytes(24));
    this.#tokens.set(token, asked);
    return { token, principals: asked.names, expiresAt: asked.expiresAt };
  }

  #sign({ ott, publicKey, certType }: SshSignRequest): unknown {
    const asked = this.#tokens.get(ott);
    if (asked === undefined) throw new Refusal(401, 'token-used', 'this token is unknown or used');
    this.#tokens.delete(ott);
    const blob = decodeBase64(publicKey);
    if (fingerprintOf(blob) !== asked.fingerprint) throw new Refusal(403, 'token-wrong-key', 'another key');
    if (certType !== 'host') throw new Refusal(403, 'certificate-type-not-allowed', 'hosts only');
    const now = BigInt(Math.floor(Date.now() / 1000));
    const certificate = this.#certify({
      key: decodePublicKey(blob),
      type: 'host',
      keyId: asked.names[0] ?? '',
      principals: asked.names,
      validAfter: now - 60n,
      validBefore: now + 86_400n,
      criticalOptions: [],
      ...this.behaviour.certificate,
    });
    return { crt: encodeBase64(certificate) };
  }

  #certify(fields: Omit<CertificateFields, 'serial' | 'extensions' | 'nonce' | 'signatureKey'>): Uint8Array {
    const what = fields.type === 'user' ? 'challenge' : 'certificate';
    const ca = this.behaviour.wrongHostCa === what ? this.#otherCa : this.hostCa;
    const toBeSigned = encodeToBeSigned({
      serial: randomBytes(8).readBigUInt64BE() | 1n,
      extensions: [],
      nonce: randomBytes(32),
      signatureKey: publicKeyFromObject(ca),
      ...fields,
    });
    return assembleCertificate(toBeSigned, signWithKeyObject(ca, 'ssh-ed25519', toBeSigned));
  }
}

function newKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey;
}

function blobOf(key: KeyObject): Uint8Array {
  return encodePublicKey(publicKeyFromObject(key));
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}
