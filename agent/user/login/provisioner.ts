/**
 * The sign-ins that the CA offers (GET /provisioners, type OIDC, with member `countersign`), and which one is meant. Pure.
 * Refused on purpose: an issuer that is not https, provisioners without our member (nothing says how to come back from them).
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { OidcClientSettings } from '#protocol/identity-binding.ts';
import { printable } from '../../ca/foreign-text.ts';
import { LoginError } from './login-error.ts';

const Text = Type.String({ minLength: 1, maxLength: 1024 });

/** Those of workloads are for nobody at a browser. */
const SignIn = Type.Object({
  type: Type.Literal('OIDC'),
  name: Text,
  countersign: Type.Object({ nonceBinding: Type.Optional(Type.Unknown()) }),
});

const OidcProvisioner = Type.Object({
  type: Type.Literal('OIDC'),
  name: Text,
  clientID: Text,
  clientSecret: Type.Optional(Type.String({ maxLength: 1024 })),
  scopes: Type.Optional(Type.Array(Type.String({ pattern: '^[!#-\\[\\]-~]{1,256}$' }), { maxItems: 64 })),
  countersign: Type.Intersect([
    OidcClientSettings,
    Type.Object({ issuer: Type.String({ pattern: '^https://[!-~]+$', maxLength: 1024 }) }),
  ]),
});
type OidcProvisioner = Static<typeof OidcProvisioner>;

export interface Provisioner {
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Of clients that some providers insist on; no secret, since every laptop has it. */
  readonly clientSecret?: string;
  readonly scopes: readonly string[];
  readonly client: OidcClientSettings;
}

/**
 * @param listed `provisioners` of the CA's reply
 * @param wanted the name that the person gave; needed when there are several
 * @throws LoginError `no-provisioner`, `provisioner-ambiguous`, `provisioner-unusable`
 */
export function chooseProvisioner(listed: readonly unknown[], wanted: string | undefined): Provisioner {
  const named = listed.filter(isSignIn).filter(({ name }) => wanted === undefined || name === wanted);
  const [only] = named;
  if (only === undefined) throw none(listed.filter(isSignIn), wanted);
  if (named.length > 1) throw ambiguous(named);
  if (Value.Check(OidcProvisioner, only)) return provisionerFrom(only);
  throw new LoginError('provisioner-unusable', `the CA describes its sign-in ${shown(only)} in a way that is unknown`, {
    advice:
      'It may be of a newer version: update countersign. Its administrator can check the [[oidc]] section of ca.toml.',
  });
}

function isSignIn(entry: unknown): entry is { readonly type: 'OIDC'; readonly name: string } {
  return Value.Check(SignIn, entry) && entry.countersign.nonceBinding !== 'none';
}

function provisionerFrom({ name, clientID, clientSecret = '', scopes, countersign }: OidcProvisioner): Provisioner {
  const { issuer, ...client } = countersign;
  return {
    name,
    issuer,
    clientId: clientID,
    ...(clientSecret === '' ? {} : { clientSecret }),
    scopes: scopes ?? ['openid', 'email'],
    client,
  };
}

function none(listed: readonly { readonly name: string }[], wanted: string | undefined): LoginError {
  if (listed.length === 0) {
    return new LoginError('no-provisioner', 'the CA has no sign-in that gives certificates to people', {
      advice: 'Its administrator adds one to ca.toml: an [[oidc]] section with the issuer and the client.',
    });
  }
  return new LoginError('no-provisioner', `the CA has no sign-in named ${printable(wanted ?? '', 64)}`, {
    advice: `It has: ${listed.map(shown).join(', ')}.`,
  });
}

function ambiguous(named: readonly { readonly name: string }[]): LoginError {
  return new LoginError('provisioner-ambiguous', 'the CA has several sign-ins', {
    advice: `Name one of them with --provisioner: ${named.map(shown).join(', ')}.`,
  });
}

function shown({ name }: { readonly name: string }): string {
  return printable(name, 64);
}
