/**
 * The ssh-agent that gets the key of a sign-in: ours or OpenSSH's, over its socket (RFC 9987). A key is added with its certificate and with
 * a lifetime that ends with it, and looked for afterwards: there are agents that take a certificate and lose it.
 */
import { decodeAgentReply } from '#openssh/agent-reply.ts';
import { encodeAddRequest, encodeListRequest, encodeRemoveRequest } from '#openssh/agent-request.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import { AgentFailure } from '../agent-failure.ts';
import { SessionBindings } from '../session-bindings.ts';
import { UpstreamError, UpstreamLink } from '../upstream-link.ts';
import type { BoundKey } from './key-binding.ts';
import { LoginError } from './login-error.ts';

const REPLY_TIMEOUT_MS = 10_000;

export interface HeldCertificate {
  readonly certificate: Certificate;
  readonly comment: string;
}

export class AgentKeys implements Disposable {
  readonly #link: UpstreamLink;
  readonly #socket: string;

  /** Connects at the first request. */
  constructor(socket: string) {
    this.#socket = socket;
    this.#link = new UpstreamLink(socket, new SessionBindings());
  }

  /** Adds the key with its certificate, until the certificate ends. @param nowSeconds epoch @throws LoginError, AgentFailure */
  async add(
    { privateKey, publicKey }: BoundKey,
    { certificate, comment }: HeldCertificate,
    nowSeconds: number,
  ): Promise<void> {
    if (publicKey.type !== certificate.key.type) throw new TypeError('the certificate is for another key');
    const lifetimeSeconds = Math.max(1, Math.min(Number(certificate.validBefore) - nowSeconds, 0xffff_ffff));
    const fields = { privateKey, publicKey, certificate };
    const request = encodeAddRequest({ fields, comment: Buffer.from(comment), constraints: { lifetimeSeconds } });
    const reply = await this.#ask(request).finally(() => request.fill(0));
    if (reply.type !== 'success') throw refused('the agent does not take the key: it may be locked (ssh-add -X)');
    const held = await this.list(() => true);
    if (held.some((each) => equalBytes(each.certificate.blob, certificate.blob))) return;
    throw refused('the agent took the key and lost its certificate');
  }

  /** The certificates that one of `cas` signed. @throws LoginError, AgentFailure */
  async listOf(cas: ReadonlySet<Fingerprint>): Promise<HeldCertificate[]> {
    return this.list(
      ({ type, signatureKey }) => type === 'user' && cas.has(fingerprintOf(encodePublicKey(signatureKey))),
    );
  }

  async list(isWanted: (certificate: Certificate) => boolean): Promise<HeldCertificate[]> {
    const reply = await this.#ask(encodeListRequest());
    if (reply.type !== 'identities') throw refused('the agent does not tell what it holds');
    return reply.identities.flatMap(({ blob, comment }) => {
      const certificate = certificateIn(blob);
      if (certificate === undefined || !isWanted(certificate)) return [];
      return [{ certificate, comment: Buffer.from(comment).toString() }];
    });
  }

  /** False when the agent does not. @throws AgentFailure */
  async remove({ certificate }: HeldCertificate): Promise<boolean> {
    return (await this.#ask(encodeRemoveRequest(certificate.blob))).type === 'success';
  }

  [Symbol.dispose](): void {
    this.#link.close();
  }

  async #ask(message: Uint8Array) {
    try {
      return decodeAgentReply(await this.#link.request(message, REPLY_TIMEOUT_MS));
    } catch (cause) {
      if (!(cause instanceof UpstreamError) && !(cause instanceof FormatError)) throw cause;
      throw new AgentFailure('no-agent', `what answers at ${this.#socket} is no ssh-agent, or it is gone`, {
        cause,
        advice: 'Start one with: countersign agent.',
      });
    }
  }
}

function refused(what: string): LoginError {
  return new LoginError('agent-refused', what, {
    advice:
      'Some agents of desktops and password managers do not handle certificates. Start: countersign agent, and name its socket with --socket.',
  });
}

function certificateIn(blob: Uint8Array): Certificate | undefined {
  try {
    return decodeCertificate(blob);
  } catch (error) {
    if (error instanceof FormatError) return undefined; // a plain key
    throw error;
  }
}
