/** A CA that serves, as hosts and users see it during a rotation: trust document, certificates, reports, and a host that never stops renewing. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import type { TrustDocument } from '#protocol/trust.ts';
import { CA_NAME, type RunningCa } from './ca.ts';
import { type HostKey, makeHostKey, sshpopToken, statusRequest } from './sshpop-client.ts';

const DEADLINE_MS = 60_000;

export type Kind = 'host' | 'user';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** The CA key that signed a certificate. */
export function signedBy(certificate: Uint8Array): Fingerprint {
  return fingerprintOf(encodePublicKey(decodeCertificate(certificate).signatureKey));
}

/** Asks until the answer fulfils it. @throws after a minute */
export async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + DEADLINE_MS;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (performance.now() > giveUpAt) throw new Error(`it did not come to this: ${JSON.stringify(answer)}`);
    await sleep(100);
  }
}

const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));

export class RotationStage implements AsyncDisposable {
  readonly ca: RunningCa;
  readonly #http: Agent;

  private constructor(ca: RunningCa, http: Agent) {
    this.ca = ca;
    this.#http = http;
  }

  static async open(ca: RunningCa): Promise<RotationStage> {
    return new RotationStage(ca, new Agent({ connect: { ca: await ca.ca.rootPem(), servername: CA_NAME } }));
  }

  async ask(method: 'GET' | 'POST', path: string, payload?: object): Promise<Answer> {
    const { statusCode: status, body } = await request(`${this.ca.url}${path}`, {
      method,
      dispatcher: this.#http,
      headers: { 'content-type': 'application/json' },
      ...(payload === undefined ? {} : { body: JSON.stringify(payload) }),
    });
    return { status, body: (await body.json()) as Record<string, unknown> };
  }

  async trust(): Promise<TrustDocument> {
    const { body } = await this.ask('GET', '/ssh/trust');
    return JSON.parse(Buffer.from(decodeBase64(String(body['payload']))).toString()) as TrustDocument;
  }

  /** What the CA says of its keys, once it says so. */
  async untilTrust(kind: Kind, states: readonly string[]): Promise<TrustDocument> {
    const keys = (document: TrustDocument) => (kind === 'host' ? document.hostCas : document.userCas);
    return until(
      async () => this.trust(),
      (document) =>
        keys(document)
          .map(({ state }) => state)
          .join() === states.join(),
    );
  }

  /** A certificate by an administrator's token. */
  async certify(blob: string, ...token: string[]): Promise<Uint8Array> {
    const ott = await this.ca.ca.token(...token);
    const { status, body } = await this.ask('POST', '/ssh/sign', { ott, publicKey: blob });
    if (status !== 201) throw new Error(`not certified: ${JSON.stringify(body)}`);
    return decodeBase64(String(body['crt']));
  }

  async renew(key: HostKey, certificate: Uint8Array): Promise<Answer> {
    return this.ask('POST', '/ssh/renew', {
      ott: sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: now() }),
    });
  }

  /** A report of a host that trusts what the CA says today. */
  async report(key: HostKey, certificate: Uint8Array): Promise<Answer> {
    const { hostCas, userCas } = await this.trust();
    const trusted = {
      trustedHostCas: hostCas.map(({ fingerprint }) => fingerprint),
      trustedUserCas: userCas.map(({ fingerprint }) => fingerprint),
    };
    return this.ask(
      'POST',
      '/ssh/status',
      statusRequest({ key, certificate, authority: CA_NAME, now: now() }, trusted),
    );
  }

  async rotate(step: string, ...args: string[]): Promise<void> {
    await this.ca.ca.run('rotate', step, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.destroy();
  }
}

/** Renews and reports without a pause, and remembers everything that was not granted. */
export class BusyHost implements AsyncDisposable {
  readonly failures: Answer[] = [];
  renewals = 0;
  readonly #stage: RotationStage;
  readonly #key = makeHostKey();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(stage: RotationStage) {
    this.#stage = stage;
  }

  static async start(stage: RotationStage, name: string): Promise<BusyHost> {
    const host = new BusyHost(stage);
    const first = await stage.certify(host.#key.blob, '--host', name);
    host.#running = host.#run(first);
    return host;
  }

  async #run(first: Uint8Array): Promise<void> {
    let certificate = first;
    while (!this.#stop.signal.aborted) {
      const renewed = await this.#stage.renew(this.#key, certificate);
      if (renewed.status === 201) certificate = decodeBase64(String(renewed.body['crt']));
      else this.failures.push(renewed);
      const reported = await this.#stage.report(this.#key, certificate);
      if (reported.status !== 200) this.failures.push(reported);
      this.renewals += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/** The blob of a public key file, base64. */
export async function publicKeyOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).split(' ')[1] ?? '';
}
