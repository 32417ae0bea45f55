/**
 * From claims to principals: a list of rules, each adding principals or none. The results are whole values, never texts that are split
 * again: a claim of `alice,root` is one impossible principal and refused, not two possible ones.
 * Pure. Whether the principals are allowed is asked afterwards (`findPrincipalFault`).
 */
import { isUsablePrincipal } from '#openssh/certificate.ts';

export type PrincipalRule =
  /** The part of `email` before its only @, in lower case. */
  | { readonly from: 'email-local-part' }
  /** The value of a claim that is a string, or each value of one that is a list of strings. */
  | { readonly from: 'claim'; readonly claim: string }
  /** Role accounts for the members of a group. */
  | { readonly from: 'group'; readonly group: string; readonly principals: readonly string[] }
  /** For everybody whom this provider signs in. */
  | { readonly from: 'fixed'; readonly principals: readonly string[] };

export type Claims = Readonly<Record<string, unknown>>;

/** OpenSSH takes no more than 256; a person who needs more than this has a mapping that is wrong. */
const MAX_PRINCIPALS = 64;
const MAX_GROUPS = 1000;

export type MappedPrincipals =
  | { readonly principals: readonly string[] }
  /** Words for a person: which rule, and what the token had. Values of claims are not repeated. */
  | { readonly fault: string };

export function mapPrincipals(rules: readonly PrincipalRule[], claims: Claims): MappedPrincipals {
  const principals = new Set<string>();
  for (const rule of rules) {
    const values = valuesOf(rule, claims);
    if (typeof values === 'string') return { fault: values };
    for (const value of values) {
      if (!isUsablePrincipal(value))
        return { fault: `the rule "${describe(rule)}" gave a principal with characters that no principal may have` };
      principals.add(value);
    }
    if (principals.size > MAX_PRINCIPALS) return { fault: `the rules gave more than ${MAX_PRINCIPALS} principals` };
  }
  if (principals.size === 0) return { fault: 'no rule gave a principal for the claims of this token' };
  return { principals: [...principals] };
}

/** Values, or why the rule cannot be applied. A claim that is absent gives none: another rule may do. */
function valuesOf(rule: PrincipalRule, claims: Claims): readonly string[] | string {
  switch (rule.from) {
    case 'fixed':
      return rule.principals;
    case 'email-local-part':
      return localPart(claims['email']);
    case 'claim':
      return listOf(own(claims, rule.claim), rule.claim);
    case 'group': {
      const groups = groupsOf(claims);
      if (typeof groups === 'string') return groups;
      return groups.includes(rule.group) ? rule.principals : [];
    }
  }
}

function localPart(email: unknown): readonly string[] | string {
  if (email === undefined) return [];
  const local = typeof email === 'string' ? /^([^@]+)@[^@]+$/.exec(email)?.[1] : undefined;
  return local === undefined ? 'the claim "email" is not an e-mail address' : [local.toLowerCase()];
}

function listOf(value: unknown, claim: string): readonly string[] | string {
  if (value === undefined) return [];
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.length <= MAX_PRINCIPALS && value.every((item) => typeof item === 'string'))
    return value;
  return `the claim "${claim}" is neither a text nor a list of at most ${MAX_PRINCIPALS} texts`;
}

/** A `groups` claim that is a single text is a fault: some providers write it so, and a text is matched by its parts too easily. */
export function groupsOf(claims: Claims): readonly string[] | string {
  const groups = own(claims, 'groups');
  if (groups === undefined) return [];
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === 'string'))
    return 'the claim "groups" is not a list of texts';
  return groups.length <= MAX_GROUPS ? groups : `the claim "groups" has more than ${MAX_GROUPS} entries`;
}

function own(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function describe(rule: PrincipalRule): string {
  if (rule.from === 'claim') return `claim ${rule.claim}`;
  return rule.from === 'group' ? `group ${rule.group}` : rule.from;
}
