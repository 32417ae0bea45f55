/**
 * What a host with a certificate says to its CA: give me the successor, and this is in use now. Each attempt makes a token of its own,
 * by the clock of the client, which asks the CA for its time when the CA finds a token untimely. Does I/O.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Static, TSchema } from 'typebox';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { SshRenewReply, type SshpopOperation } from '#protocol/renewal.ts';
import { STATUS_REPORT_TYPE, StatusReply, type StatusReport } from '#protocol/status.ts';
import { version } from '#protocol/version.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { CaError } from '../../ca/ca-error.ts';
import { type IssuedFault, checkIssued } from '../../ca/issued-check.ts';
import { retryByCaTime } from '../../ca/time-retry.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import type { Standing } from '../following/standing.ts';
import type { HostKey } from '../host-key.ts';
import { makeSshpopToken } from './sshpop-token.ts';

export interface Holding {
  readonly key: HostKey;
  /** Of `key`, durably on the disk. */
  readonly certificate: Certificate;
}

export class CaConversation {
  readonly #client: CaClient;
  readonly #authority: Authority;

  constructor(client: CaClient, authority: Authority) {
    this.#client = client;
    this.#authority = authority;
  }

  /** Epoch seconds, as the CA is told. */
  now(): bigint {
    return this.#client.clock.now();
  }

  /** The successor of a certificate; asked again, the same one. Nothing is stored here. @throws CaError, HostError */
  async renew(holding: Holding): Promise<Certificate> {
    return retryByCaTime(this.#client, async () => {
      const { crt } = await this.#ask(holding, 'renew', SshRenewReply, (ott) => ({ ott }));
      return this.#accepted(crt, holding);
    });
  }

  /** @param standing what the host trusts besides @throws CaError, HostError */
  async report(holding: Holding, standing: Standing): Promise<StatusReply> {
    const report: StatusReport = {
      type: STATUS_REPORT_TYPE,
      serial: String(holding.certificate.serial),
      agentVersion: version,
      ...standing,
    };
    const bytes = Buffer.from(JSON.stringify(report));
    const digest = hash('sha256', bytes, 'hex');
    return retryByCaTime(this.#client, async () =>
      this.#ask(holding, 'status', StatusReply, (ott) => ({ ott, report: encodeBase64(bytes) }), digest),
    );
  }

  async #ask<T extends TSchema>(
    { key, certificate }: Holding,
    operation: SshpopOperation,
    schema: T,
    bodyWith: (ott: string) => object,
    report?: string,
  ): Promise<Static<T>> {
    const authority = new URL(this.#authority.url).host;
    const { clock } = this.#client;
    const request = { key, certificate, operation, authority, now: clock.now(), id: randomBytes(20) };
    const ott = await makeSshpopToken(report === undefined ? request : { ...request, report });
    const reply = await this.#client.post(`/ssh/${operation}`, bodyWith(ott), schema);
    clock.confirm();
    return reply;
  }

  /** As at enrolment, but the principals are the CA's decision of today: it may have dropped one. */
  #accepted(base64: string, { key }: Holding): Certificate {
    const blob = decodedBlob(base64);
    const trustedCas = fingerprintsOf(this.#authority.hostCaKeys);
    const verdict = checkIssued(blob, { keyBlob: key.blob, trustedCas, now: this.#client.clock.now() });
    if (verdict.fault === undefined) return verdict.certificate;
    throw unacceptable(verdict.fault, key);
  }
}

function decodedBlob(base64: string): Uint8Array {
  try {
    return decodeBase64(base64);
  } catch (error) {
    if (error instanceof FormatError) return new Uint8Array();
    throw error;
  }
}

function unacceptable(fault: IssuedFault, { path }: HostKey): CaError {
  const advice =
    fault === 'untrusted-ca'
      ? 'If the CA has a new key, take it over: countersign bootstrap, with the same address and fingerprint as before. The present certificate stays in use.'
      : 'The present certificate stays in use. The log of the CA tells what it issued.';
  return new CaError(
    'certificate-unacceptable',
    `the certificate that the CA gave for ${path} cannot be used: ${fault}`,
    { advice, concernsTime: fault === 'expired' || fault === 'not-yet-valid' },
  );
}

/** Whether `certificate` is for the key with this fingerprint. */
export function isOfKey(certificate: Certificate, fingerprint: string): boolean {
  return fingerprintOf(encodePublicKey(certificate.key)) === fingerprint;
}
