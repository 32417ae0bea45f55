/**
 * Whether a TLS server's certificate leads to the pinned root (RFC 5280 section 6), with its validity told apart from the rest: OpenSSL
 * judges it by the clock of the system alone, and reports of several faults only one. Used when that clock is not believed. Pure.
 * Refused on purpose: critical extensions other than basic constraints, key usage, extended key usage, alternative names and name
 * constraints; SHA-1 and MD5; RSA keys below 2048 bits; paths with more than eight certificates.
 */
import 'reflect-metadata'; // @peculiar/x509 resolves its algorithms through it
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { equalBytes } from '#openssh/wire.ts';
import type { Validity } from './certificate-validity.ts';
import { type ServerName, allowsNames } from './name-constraints.ts';

export interface PathRequest {
  /** DER, the server's own first, the others in any order. */
  readonly presented: readonly Uint8Array[];
  /** PEM of the pinned root. */
  readonly root: string;
  /** Name or IP address under which the server was reached. */
  readonly host: string;
}

export type PathFault =
  | 'malformed'
  | 'no-path' // no chain of signatures leads to the root
  | 'not-allowed' // a certificate of the chain may not do what it does here
  | 'other-name';

export type PathVerdict = { readonly fault: PathFault } | { readonly fault?: undefined; readonly validity: Validity };

const MAX_LENGTH = 8;
const MAX_PRESENTED = 16;
const MIN_RSA_BITS = 2048;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ANY_USAGE = '2.5.29.37.0';
const NAME_CONSTRAINTS = '2.5.29.30';
/** Basic constraints, key usage, extended key usage, subject alternative name, name constraints: what is held here or by Node. */
const understood: ReadonlySet<string> = new Set(['2.5.29.19', '2.5.29.15', '2.5.29.37', '2.5.29.17', NAME_CONSTRAINTS]);

export function judgePath({ presented, root, host }: PathRequest): PathVerdict {
  const parsed = parseAll(presented, root);
  if (parsed === undefined) return { fault: 'malformed' };
  const path = findPath(parsed.presented, parsed.root);
  const [leaf] = path ?? [];
  if (path === undefined || leaf === undefined) return { fault: 'no-path' };
  const names = namesOf(leaf);
  if (!path.every((certificate, depth) => isAllowed(certificate, depth, names))) return { fault: 'not-allowed' };
  if (!isFor(leaf, host)) return { fault: 'other-name' };
  return { validity: validityOf(path) };
}

function parseAll(presented: readonly Uint8Array[], root: string) {
  if (presented.length > MAX_PRESENTED) return undefined;
  try {
    return { presented: presented.map((der) => new X509Certificate(der)), root: new X509Certificate(root) };
  } catch {
    return undefined; // whatever OpenSSL cannot read
  }
}

/** From the server's certificate to the root; each one signed by the next. */
function findPath(
  [leaf, ...others]: readonly X509Certificate[],
  root: X509Certificate,
): readonly X509Certificate[] | undefined {
  const path = leaf === undefined ? [] : [leaf];
  for (let last = leaf; last !== undefined && path.length < MAX_LENGTH;) {
    if (isSignedBy(last, root)) return [...path, root];
    const below = last;
    last = others.find((issuer) => !path.includes(issuer) && isSignedBy(below, issuer));
    if (last !== undefined) path.push(last);
  }
  return undefined;
}

/** By name, key identifier and key usage (X509_check_issued of OpenSSL), by the right to sign certificates, and by the signature. */
function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  if (equalBytes(certificate.raw, issuer.raw)) return false;
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** @param depth 0 for the server's own, which no CA certificate is below */
function isAllowed(certificate: X509Certificate, depth: number, names: readonly ServerName[]): boolean {
  const { publicKey } = certificate;
  const { modulusLength } = publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined && modulusLength < MIN_RSA_BITS) return false;
  const details = parseDetails(certificate);
  if (details === undefined) return false;
  const constraints = details.getExtension(NAME_CONSTRAINTS);
  if (constraints !== null && (depth === 0 || !allowsNames(new Uint8Array(constraints.value), names))) return false;
  if (details.extensions.some(({ critical, type }) => critical && !understood.has(type))) return false;
  if (!usesStrongHash(details)) return false;
  const usages = details.getExtension(x509.ExtendedKeyUsageExtension)?.usages;
  if (usages !== undefined && !usages.some((usage) => usage === SERVER_AUTH || usage === ANY_USAGE)) return false;
  if (depth === 0) return true;
  const { pathLength } = details.getExtension(x509.BasicConstraintsExtension) ?? {};
  return pathLength === undefined || depth - 1 <= pathLength;
}

function namesOf(leaf: X509Certificate): readonly ServerName[] {
  return parseDetails(leaf)?.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
}

function parseDetails({ raw }: X509Certificate): x509.X509Certificate | undefined {
  try {
    return new x509.X509Certificate(new Uint8Array(raw));
  } catch {
    return undefined;
  }
}

function usesStrongHash({ signatureAlgorithm }: x509.X509Certificate): boolean {
  const { name, hash } = signatureAlgorithm as { readonly name: string; readonly hash?: { readonly name: string } };
  return hash === undefined ? /^Ed(DSA|25519|448)$/.test(name) : /^SHA-(256|384|512)$/.test(hash.name);
}

function isFor(leaf: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return leaf.checkIP(host) !== undefined;
  return leaf.checkHost(host, { subject: 'never' }) !== undefined;
}

function validityOf(path: readonly X509Certificate[]): Validity {
  return {
    fromMs: Math.max(...path.map(({ validFromDate }) => validFromDate.getTime())),
    toMs: Math.min(...path.map(({ validToDate }) => validToDate.getTime())),
  };
}
