/**
 * What is kept of a sign-in so that its certificates can be renewed by the rules of a later day: the claims that rules look at, and nothing else
 * of the ID token. A rule that is new then, about a claim that was not kept, is not met: the person signs in again. Pure.
 */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { MAX_CLAIMS_LENGTH, type SignIn } from '../store/user-decisions.ts';
import type { OidcPolicy } from './oidc-policy.ts';
import type { Claims } from './principal-mapping.ts';

const alwaysKept = ['sub', 'email', 'email_verified', 'groups', 'acr', 'amr', 'auth_time'];

export function signInOf(claims: Claims, policy: OidcPolicy): SignIn {
  const named = policy.principals.flatMap((rule) => (rule.from === 'claim' ? [rule.claim] : []));
  const kept = [...alwaysKept, ...policy.requirements.claims.keys(), ...named];
  const text = JSON.stringify(Object.fromEntries(kept.flatMap((name) => claimEntry(claims, name))));
  // Too much to keep: then nothing is, which meets no rule.
  const fits = text.length <= MAX_CLAIMS_LENGTH && !text.includes('\\u0000') && text.isWellFormed();
  return { identity: `${whoIs(claims)} via ${policy.name}`, claims: fits ? text : '{}' };
}

/** Who signed in, in characters that logs and command lines take. */
export function whoIs(claims: Claims): string {
  const { email, sub } = claims;
  return printable(typeof email === 'string' ? email : `sub ${String(sub)}`);
}

/** The claims as they were kept. @throws SyntaxError, TypeError when they are not what `signInOf` wrote */
export function readClaims(text: string): Claims {
  const claims: unknown = JSON.parse(text);
  if (!Value.Check(Type.Record(Type.String(), Type.Unknown()), claims)) throw new TypeError('no claims');
  return claims;
}

function claimEntry(claims: Claims, name: string): [string, unknown][] {
  return Object.hasOwn(claims, name) ? [[name, claims[name]]] : [];
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, 256);
}
