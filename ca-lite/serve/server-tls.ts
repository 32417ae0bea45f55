/** The TLS certificate of the API: from the directory while it is good, made anew in time, also while serving. */
import { readFile } from 'node:fs/promises';
import type { KeyObject } from 'node:crypto';
import type { CaLayout } from '../directory/layout.ts';
import { replaceFile } from '../files/write-new.ts';
import {
  type ServerCertificateFacts,
  type X509Identity,
  createServerCertificate,
  readServerCertificate,
} from '../x509/certificate-authority.ts';

export interface TlsMaterial {
  readonly key: string;
  /** Server certificate and intermediate; clients have the root. */
  readonly cert: string;
}

export interface ServerTls {
  readonly material: TlsMaterial;
  /** Makes a new certificate when two thirds of the old one's life are over; undefined when it is still good. */
  renew(now: Date): Promise<TlsMaterial | undefined>;
}

export interface TlsParts {
  readonly layout: CaLayout;
  readonly dnsNames: readonly string[];
  readonly intermediate: X509Identity;
  readonly serverKey: KeyObject;
}

export async function openServerTls(parts: TlsParts, now: Date): Promise<ServerTls> {
  const { layout, dnsNames, intermediate, serverKey } = parts;
  const key = serverKey.export({ format: 'pem', type: 'pkcs8' });
  let pem = await readFile(layout.serverCertificate, 'utf8').catch(() => '');
  const material = (): TlsMaterial => ({ key, cert: `${pem.trim()}\n${intermediate.certificatePem.trim()}\n` });
  const renew = async (at: Date): Promise<TlsMaterial | undefined> => {
    if (pem !== '' && isGood(pem, dnsNames, at)) return undefined;
    const made = await createServerCertificate(dnsNames, intermediate, serverKey, at);
    pem = made.certificatePem;
    await replaceFile(layout.serverCertificate, `${pem.trim()}\n`, 0o644);
    return material();
  };
  await renew(now);
  return {
    get material() {
      return material();
    },
    renew,
  };
}

/** Undefined for a file that was damaged: it is made anew like one that has expired. */
function readable(pem: string): ServerCertificateFacts | undefined {
  try {
    return readServerCertificate(pem);
  } catch {
    return undefined; // whatever the parser of certificates throws: it has no class of its own for it
  }
}

/** Names as configured, and before two thirds of its life; a clock that was set back makes it bad as well. */
export function isGood(pem: string, dnsNames: readonly string[], now: Date): boolean {
  const facts = readable(pem);
  if (facts === undefined) return false;
  const { names, notBefore, notAfter } = facts;
  const same = names.length === dnsNames.length && names.every((name, i) => name === dnsNames[i]);
  const renewAt = notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
  return same && now >= notBefore && now.getTime() < renewAt;
}
