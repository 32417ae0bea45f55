/**
 * Whether the claims of a verified ID token meet what a provisioner asks for (OpenID Connect Core 1.0 sections 2, 3.1.3.7; the returned
 * claim counts, not what was asked of the provider). Fails closed: a claim that is missing, or of another shape, meets no rule.
 * Pure. Signature, `iss`, `aud` and times have been checked by `id-token.ts`.
 */
import type { ClaimRequirements } from './oidc-policy.ts';
import { type Claims, groupsOf } from './principal-mapping.ts';

/** The first rule that is not met, in words that name the rule and the kind of what the token had; undefined when all are. */
export function findUnmetRule(claims: Claims, rules: ClaimRequirements, now: bigint): string | undefined {
  return (
    findEmailFault(claims, rules) ??
    findGroupFault(claims, rules) ??
    findAuthenticationFault(claims, rules, now) ??
    findExactFault(claims, rules)
  );
}

function findEmailFault(claims: Claims, { emailVerified, domains }: ClaimRequirements): string | undefined {
  if (!emailVerified && domains.length === 0) return undefined;
  const email = claims['email'];
  const domain = typeof email === 'string' ? /^[^@]+@([^@]+)$/.exec(email)?.[1]?.toLowerCase() : undefined;
  if (domain === undefined) return `an e-mail address is asked for, and the token has ${kindOf(email)} as "email"`;
  if (emailVerified && claims['email_verified'] !== true) {
    return `a verified e-mail address is asked for, and the token has ${kindOf(claims['email_verified'])} as "email_verified"`;
  }
  if (domains.length > 0 && !domains.includes(domain))
    return 'the e-mail address is not in one of the domains that are asked for';
  return undefined;
}

function findGroupFault(claims: Claims, rules: ClaimRequirements): string | undefined {
  if (rules.groups.length === 0) return undefined;
  const groups = groupsOf(claims);
  if (typeof groups === 'string') return groups;
  if (rules.groups.some((group) => groups.includes(group))) return undefined;
  return `membership in one of ${rules.groups.length} groups is asked for, and the token has ${groups.length} others`;
}

function findAuthenticationFault(claims: Claims, rules: ClaimRequirements, now: bigint): string | undefined {
  const { acr, amr, auth_time: authTime } = claims;
  if (rules.acr.length > 0 && !(typeof acr === 'string' && rules.acr.includes(acr))) {
    return `an authentication context (acr) of ${rules.acr.join(' or ')} is asked for, and the token has ${kindOf(acr)}`;
  }
  const methods = Array.isArray(amr) ? amr : [];
  const missing = rules.amr.find((method) => !methods.includes(method));
  if (missing !== undefined)
    return `the authentication method (amr) ${missing} is asked for, and the token does not have it`;
  if (rules.maxAuthAgeSeconds === undefined) return undefined;
  if (typeof authTime !== 'number' || !Number.isSafeInteger(authTime))
    return `the time of the sign-in (auth_time) is asked for, and the token has ${kindOf(authTime)}`;
  const age = now - BigInt(authTime);
  if (age <= BigInt(rules.maxAuthAgeSeconds)) return undefined;
  return `a sign-in within the last ${rules.maxAuthAgeSeconds} s is asked for, and this one is ${age} s old`;
}

function findExactFault(claims: Claims, rules: ClaimRequirements): string | undefined {
  for (const [name, wanted] of rules.claims) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (value !== wanted)
      return `a certain value of "${name}" is asked for, and the token has ${typeof value === 'string' ? 'another' : kindOf(value)}`;
  }
  return undefined;
}

/** What something is, without saying what is in it. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'string' ? 'another text' : `a ${typeof value}`;
}
