/**
 * The plain key of a host that proves a certificate of the CA, for known_hosts of clients that cannot use certificates. Such a line outlives
 * what made it true: it knows of no expiry and of no revocation, so it is made anew from time to time. Does I/O.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { type CertificateFault, findCertificateFault } from '#openssh/certificate-check.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { type KeyType, keyTypes } from '#openssh/key-type.ts';
import { knownHostName, knownHostsLine } from '#openssh/known-hosts.ts';
import { isRevoked } from '#openssh/krl-check.ts';
import type { Krl } from '#openssh/krl.ts';
import { certificateAlgorithms } from '../../host/certificate-algorithm.ts';
import { probeHostKey } from '../../host/served-key.ts';

export interface HostTrust {
  readonly hostCas: ReadonlySet<Fingerprint>;
  readonly krl: Krl | undefined;
  /** Epoch seconds. */
  readonly now: bigint;
}

export interface HostPlace {
  /** A principal of the certificate, and what known_hosts will call it. */
  readonly name: string;
  /** What is connected to: a name or an address. */
  readonly address: string;
  readonly port: number;
}

export type Unproven = CertificateFault | 'no-certificate';

/**
 * Lines for each key that the host proves together with a good certificate; or why there is none.
 * @throws HostError `sshd-not-answering`
 */
export async function linesOfHost(place: HostPlace, trust: HostTrust): Promise<readonly string[] | Unproven> {
  const lines: string[] = [];
  let unproven: Unproven = 'no-certificate';
  for (const type of Object.keys(keyTypes) as KeyType[]) {
    const served = await probeHostKey(place, certificateAlgorithms(type));
    if (served?.certificate === undefined) continue;
    const fault = judgeHost(served.certificate, place.name, trust);
    if (fault === undefined) lines.push(lineOf(place, served.certificate));
    else unproven = fault;
  }
  return lines.length > 0 ? lines : unproven;
}

/** Undefined for a certificate that speaks for this name now. */
export function judgeHost(
  certificate: Certificate,
  name: string,
  { hostCas, krl, now }: HostTrust,
): CertificateFault | undefined {
  const revocation = krl === undefined ? {} : { isRevoked: (one: Certificate) => isRevoked(krl, one) };
  return findCertificateFault(certificate, { type: 'host', now, trustedCas: hostCas, principal: name, ...revocation });
}

function lineOf({ name, port }: HostPlace, { key }: Certificate): string {
  const line = knownHostsLine({ patterns: [knownHostName(name, port)], key });
  return new TextDecoder().decode(line.raw);
}
