/**
 * Which principals a certificate may carry. Hosts: names under `enrolment.names` or `certificates.host_principals`, their short
 * forms where allowed, and addresses in `enrolment.addresses` where allowed. Users: `certificates.user_principals`.
 * Everything else is refused; an empty list of principals is refused before anything is looked at.
 */
import { isUsablePrincipal } from '#openssh/certificate.ts';
import type { CertificateType } from '#openssh/certificate.ts';
import { type IpAddress, parseAddress } from '../address/address.ts';
import { allowedBy } from '../address/cidr.ts';
import type { Config } from '../config/config.ts';
import { matchesAny } from './name-pattern.ts';

export type PrincipalPolicy = Pick<Config, 'certificates' | 'enrolment'>;

/** The first principal that is not allowed, or a word for an empty list; undefined when all are fine. */
export function findPrincipalFault(
  type: CertificateType,
  principals: readonly string[],
  policy: PrincipalPolicy,
): string | undefined {
  if (principals.length === 0) return '(none)';
  return principals.find(
    (principal) => !isUsablePrincipal(principal) || !isAllowed(type, principal, principals, policy),
  );
}

function isAllowed(type: CertificateType, principal: string, all: readonly string[], policy: PrincipalPolicy): boolean {
  if (type === 'user') return matchesAny(policy.certificates.userPrincipals, principal);
  return (
    isAllowedHostName(principal, policy) ||
    isAllowedShortName(principal, all, policy) ||
    isAllowedAddress(principal, policy)
  );
}

function isAllowedHostName(name: string, { enrolment, certificates }: PrincipalPolicy): boolean {
  return matchesAny(enrolment.names, name) || matchesAny(certificates.hostPrincipals, name);
}

/** `web1` beside `web1.example.com`: only together with a full name that is itself allowed. */
function isAllowedShortName(name: string, all: readonly string[], policy: PrincipalPolicy): boolean {
  if (!policy.enrolment.shortNames || name.includes('.')) return false;
  return all.some((other) => other.startsWith(`${name}.`) && isAllowedHostName(other, policy));
}

function isAllowedAddress(text: string, { enrolment }: PrincipalPolicy): boolean {
  const address = enrolment.addressPrincipals ? addressIn(text) : undefined;
  return address !== undefined && allowedBy(enrolment.addresses, address);
}

function addressIn(text: string): IpAddress | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}

/** What a host is certified for once its names and addresses are proven; names first, each once. */
export function principalsOfHost(
  names: readonly string[],
  addresses: readonly string[],
  policy: PrincipalPolicy,
): string[] {
  const { shortNames, addressPrincipals } = policy.enrolment;
  const short = shortNames ? names.map((name) => name.split('.')[0] ?? name) : [];
  return [...new Set([...names, ...short, ...(addressPrincipals ? addresses : [])])];
}
