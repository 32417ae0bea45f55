/**
 * The `[[oidc]]` sections of ca.toml: shape, defaults and what a shape cannot say. The defaults ask for a verified e-mail address and a token
 * that is bound to the key, and map nobody to anything.
 */
import { Type, type Static } from 'typebox';
import { type CertificateOption, flagOption, isUsablePrincipal, textOption } from '#openssh/certificate.ts';
import { parseDuration } from '../config/duration.ts';
import type { UserRenewalPolicy } from '../config/config.ts';
import { type NamePattern, parseNamePattern } from '../policy/name-pattern.ts';
import { type OidcAlgorithm, type OidcPolicy, oidcAlgorithms } from './oidc-policy.ts';
import type { PrincipalRule } from './principal-mapping.ts';

const strict = { additionalProperties: false } as const;
const Text = Type.String({ minLength: 1, maxLength: 2048 });
const Texts = Type.Array(Text, { maxItems: 256 });
const Duration = Type.String({ description: 'a duration with units, such as 90s, 5m, 16h, 30d' });

const PrincipalRuleText = Type.Union([
  Type.Object({ from: Type.Literal('email-local-part') }, strict),
  Type.Object({ from: Type.Literal('claim'), claim: Text }, strict),
  Type.Object({ from: Type.Literal('group'), group: Text, principals: Texts }, strict),
  Type.Object({ from: Type.Literal('fixed'), principals: Texts }, strict),
]);

export const OidcSection = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$',
      description: 'of the provisioner, as people choose it',
    }),
    issuer: Type.String({ pattern: '^https://[!-~]+$', description: 'exactly as the provider writes it' }),
    client_id: Text,
    client_secret: Type.Optional(Text),
    audiences: Type.Optional(Texts),
    ca_certificates: Type.Optional(
      Type.String({ description: 'PEM of certificates to trust for a provider with a private CA' }),
    ),
    algorithms: Type.Optional(Texts),
    clock_tolerance: Type.Optional(Duration),
    max_token_age: Type.Optional(Duration),
    nonce_binding: Type.Optional(
      Type.Union([Type.Literal('required'), Type.Literal('optional'), Type.Literal('none')]),
    ),
    require_email_verified: Type.Optional(Type.Boolean()),
    domains: Type.Optional(Texts),
    groups: Type.Optional(Texts),
    acr: Type.Optional(Texts),
    amr: Type.Optional(Texts),
    max_auth_age: Type.Optional(Duration),
    require_claims: Type.Optional(Type.Record(Type.String(), Type.String())),
    principals: Type.Optional(Type.Array(PrincipalRuleText, { maxItems: 64 })),
    allowed_principals: Type.Optional(Texts),
    lifetime: Type.Optional(Duration),
    renew_for: Type.Optional(Duration),
    renew_times: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    extensions: Type.Optional(Texts),
    force_command: Type.Optional(Text),
    source_address: Type.Optional(Text),
    verify_required: Type.Optional(Type.Boolean()),
    scopes: Type.Optional(Texts),
    redirect_uris: Type.Optional(
      Type.Array(Type.String({ pattern: '^http://(127\\.0\\.0\\.1|\\[::1\\]|localhost)(:\\d{1,5})?(/[!-~]*)?$' }), {
        minItems: 1,
        maxItems: 16,
      }),
    ),
    device_flow: Type.Optional(Type.Boolean()),
    pushed_authorization: Type.Optional(Type.Boolean()),
    authorization_parameters: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  strict,
);
export type OidcSection = Static<typeof OidcSection>;

/** Longer without a sign-in is what grants are for. */
const MAX_RENEWAL_SECONDS = 366 * 86_400;
const DEFAULT_RENEWALS = 100;

/** Nothing but its age keeps a token of a workload from whoever finds it in a log. */
const MAX_WORKLOAD_TOKEN_AGE_SECONDS = 15 * 60;

/** Tells of a fault; the key is relative to the section. */
export type OidcFault = (key: string, message: string) => void;

/** What sshd may let holders of such a certificate do, unless the section says less. */
const defaultExtensions = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
];

export function readOidcSection(section: OidcSection, fault: OidcFault): OidcPolicy {
  const nonceBinding = section.nonce_binding ?? 'required';
  const isWorkload = nonceBinding === 'none';
  if (isWorkload) checkWorkload(section, fault);
  return {
    name: section.name,
    issuer: section.issuer,
    clientId: section.client_id,
    clientSecret: section.client_secret,
    audiences: section.audiences ?? [],
    trust: section.ca_certificates,
    algorithms: (section.algorithms ?? ['RS256', 'ES256', 'EdDSA']).flatMap((name, i) =>
      readAlgorithm(name, `algorithms[${i}]`, fault),
    ),
    clockToleranceSeconds: readSeconds(section.clock_tolerance ?? '30s', 'clock_tolerance', 300, fault),
    maxTokenAgeSeconds: readSeconds(
      section.max_token_age ?? (isWorkload ? '5m' : '10m'),
      'max_token_age',
      isWorkload ? MAX_WORKLOAD_TOKEN_AGE_SECONDS : 86_400,
      fault,
    ),
    nonceBinding,
    requirements: readRequirements(section, fault),
    principals: readRules(section, fault),
    allowedPrincipals: (section.allowed_principals ?? []).flatMap((text, i) =>
      readPattern(text, `allowed_principals[${i}]`, fault),
    ),
    lifetimeSeconds:
      section.lifetime === undefined ? undefined : readSeconds(section.lifetime, 'lifetime', 30 * 86_400, fault),
    renewal: readUserRenewal(section.renew_for, section.renew_times, 'renew_for', fault),
    criticalOptions: criticalOptionsOf(section),
    extensions: (section.extensions ?? defaultExtensions).flatMap((name, i) =>
      readExtension(name, `extensions[${i}]`, fault),
    ),
    scopes: section.scopes ?? ['openid', 'email'],
    client: {
      redirectUris: section.redirect_uris ?? ['http://127.0.0.1:0/'],
      nonceBinding,
      deviceFlow: section.device_flow ?? false,
      authorizationParameters: section.authorization_parameters ?? {},
      pushedAuthorization: section.pushed_authorization ?? false,
    },
  };
}

/** An issuer of workload tokens is often everybody's: its signature and an audience that anybody can ask for say nothing of who asks. */
function checkWorkload(section: OidcSection, fault: OidcFault): void {
  if (Object.keys(section.require_claims ?? {}).length === 0) {
    fault(
      'require_claims',
      'needed with nonce_binding = "none": at least one claim that tells your workloads from others, such as repository',
    );
  }
}

/**
 * Renewal of user certificates by their key: off without a time.
 * @param key where the time stands
 */
export function readUserRenewal(
  time: string | undefined,
  times: number = DEFAULT_RENEWALS,
  key: string,
  fault: OidcFault,
): UserRenewalPolicy | undefined {
  if (time === undefined) return undefined;
  const forSeconds = readSeconds(time, key, MAX_RENEWAL_SECONDS, fault);
  if (forSeconds === 0) fault(key, 'leave it out, rather than 0, for certificates that do not renew by their key');
  return { forSeconds, times };
}

function readRequirements(section: OidcSection, fault: OidcFault): OidcPolicy['requirements'] {
  const { max_auth_age: maxAuthAge } = section;
  return {
    emailVerified: section.require_email_verified ?? section.nonce_binding !== 'none', // workloads have no address
    domains: (section.domains ?? []).map((domain) => domain.toLowerCase()),
    groups: section.groups ?? [],
    acr: section.acr ?? [],
    amr: section.amr ?? [],
    maxAuthAgeSeconds:
      maxAuthAge === undefined ? undefined : readSeconds(maxAuthAge, 'max_auth_age', 366 * 86_400, fault),
    claims: new Map(Object.entries(section.require_claims ?? {})),
  };
}

function readRules({ principals = [] }: OidcSection, fault: OidcFault): PrincipalRule[] {
  for (const [i, rule] of principals.entries()) {
    const fixed = 'principals' in rule ? rule.principals : [];
    if (!fixed.every(isUsablePrincipal))
      fault(`principals[${i}].principals`, 'a principal holds characters that no principal may have');
  }
  return principals;
}

function criticalOptionsOf(section: OidcSection): CertificateOption[] {
  const { force_command: command, source_address: address, verify_required: verify = false } = section;
  return [
    ...(command === undefined ? [] : [textOption('force-command', command)]),
    ...(address === undefined ? [] : [textOption('source-address', address)]),
    ...(verify ? [flagOption('verify-required')] : []),
  ];
}

function readExtension(name: string, key: string, fault: OidcFault): CertificateOption[] {
  if (/^[a-z0-9-]+(@[a-z0-9.-]+)?$/i.test(name)) return [flagOption(name)];
  fault(key, 'expected the name of an extension, such as permit-pty');
  return [];
}

function readAlgorithm(name: string, key: string, fault: OidcFault): OidcAlgorithm[] {
  const known = oidcAlgorithms.find((algorithm) => algorithm === name);
  if (known !== undefined) return [known];
  fault(key, `expected one of ${oidcAlgorithms.join(', ')}`);
  return [];
}

function readPattern(text: string, key: string, fault: OidcFault): NamePattern[] {
  const pattern = parseNamePattern(text);
  if (pattern !== undefined) return [pattern];
  fault(key, 'expected a login name, or a pattern such as *.SUFFIX');
  return [];
}

function readSeconds(text: string, key: string, max: number, fault: OidcFault): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) fault(key, 'expected a duration with units, such as 90s, 5m, 16h or 30d');
  else if (seconds > max) fault(key, `longer than the ${max} seconds that are allowed here`);
  return seconds ?? 0;
}
