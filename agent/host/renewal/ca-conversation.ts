/**
 * What a host with a certificate says to its CA: give me the successor, and this is in use now. Each attempt makes a token of its own.
 * A clock that is too wrong for tokens is found by the CA's refusal; the CA's own time, from the same authenticated connection, is then
 * believed for the rest of the conversation. The system clock is left alone. Does I/O.
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
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import type { HostKey } from '../host-key.ts';
import { makeSshpopToken } from './sshpop-token.ts';

const clockRefusals: ReadonlySet<string> = new Set(['token-expired', 'token-not-yet-valid']);

export interface Holding {
  readonly key: HostKey;
  /** Of `key`, durably on the disk. */
  readonly certificate: Certificate;
}

export class CaConversation {
  readonly #client: CaClient;
  readonly #authority: Authority;
  readonly #localNow: () => bigint;
  #aheadSeconds: bigint | undefined;

  /** @param localNow epoch seconds by the clock of this machine */
  constructor(client: CaClient, authority: Authority, localNow: () => bigint) {
    this.#client = client;
    this.#authority = authority;
    this.#localNow = localNow;
  }

  /** By how many seconds the CA's clock is ahead; undefined as long as nothing was wrong with ours. */
  get aheadSeconds(): bigint | undefined {
    return this.#aheadSeconds;
  }

  /** The successor of a certificate; asked again, the same one. Nothing is stored here. @throws CaError, HostError */
  async renew(holding: Holding): Promise<Certificate> {
    const { crt } = await this.#ask(holding, 'renew', SshRenewReply, (ott) => ({ ott }));
    return this.#accepted(crt, holding);
  }

  /** @throws CaError, HostError */
  async report(holding: Holding, trustsUsers: boolean): Promise<StatusReply> {
    const { hostCaKeys, userCaKeys } = this.#authority;
    const report: StatusReport = {
      type: STATUS_REPORT_TYPE,
      serial: String(holding.certificate.serial),
      agentVersion: version,
      trustedHostCas: [...fingerprintsOf(hostCaKeys)],
      trustedUserCas: trustsUsers ? [...fingerprintsOf(userCaKeys)] : [],
      krlNumber: '0',
    };
    const bytes = Buffer.from(JSON.stringify(report));
    const digest = hash('sha256', bytes, 'hex');
    return this.#ask(holding, 'status', StatusReply, (ott) => ({ ott, report: encodeBase64(bytes) }), digest);
  }

  async #ask<T extends TSchema>(
    { key, certificate }: Holding,
    operation: SshpopOperation,
    schema: T,
    bodyWith: (ott: string) => object,
    report?: string,
  ): Promise<Static<T>> {
    const authority = new URL(this.#authority.url).host;
    const attempt = async () => {
      const request = { key, certificate, operation, authority, now: this.#now(), id: randomBytes(20) };
      const ott = await makeSshpopToken(report === undefined ? request : { ...request, report });
      return this.#client.post(`/ssh/${operation}`, bodyWith(ott), schema);
    };
    try {
      return await attempt();
    } catch (error) {
      if (!this.#learnTime(error)) throw error;
      return attempt();
    }
  }

  #now(): bigint {
    return this.#localNow() + (this.#aheadSeconds ?? 0n);
  }

  /** @returns whether `error` was about our clock, and the CA's time is known now */
  #learnTime(error: unknown): boolean {
    const { caTimeMs } = this.#client;
    if (this.#aheadSeconds !== undefined || caTimeMs === undefined) return false;
    if (!(error instanceof CaError) || !clockRefusals.has(error.refusal?.code ?? '')) return false;
    this.#aheadSeconds = BigInt(Math.floor(caTimeMs / 1000)) - this.#localNow();
    return true;
  }

  /** As at enrolment, but the principals are the CA's decision of today: it may have dropped one. */
  #accepted(base64: string, { key }: Holding): Certificate {
    const blob = decodedBlob(base64);
    const trustedCas = fingerprintsOf(this.#authority.hostCaKeys);
    const verdict = checkIssued(blob, { keyBlob: key.blob, trustedCas, now: this.#now() });
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
    {
      advice,
    },
  );
}

/** Whether `certificate` is for the key with this fingerprint. */
export function isOfKey(certificate: Certificate, fingerprint: string): boolean {
  return fingerprintOf(encodePublicKey(certificate.key)) === fingerprint;
}
