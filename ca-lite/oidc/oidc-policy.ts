/** One OpenID provider that this CA takes ID tokens from, and what their claims are worth: checked configuration, nothing left to interpret. */
import type { OidcClientSettings } from '#protocol/identity-binding.ts';
import type { UserRenewalPolicy } from '../config/config.ts';
import type { NamePattern } from '../policy/name-pattern.ts';
import type { CertificateOption } from '#openssh/certificate.ts';
import type { PrincipalRule } from './principal-mapping.ts';

export interface OidcPolicy {
  /** The provisioner's name, in audit and key IDs. */
  readonly name: string;
  /** Exactly as the provider writes it in `iss`. */
  readonly issuer: string;
  readonly clientId: string;
  /** Of a client that some providers insist on: it ships with every laptop, so it is no secret. */
  readonly clientSecret: string | undefined;
  /** Further audiences to take, besides the client's own, e.g. of workload identity tokens. */
  readonly audiences: readonly string[];
  /** PEM of certificates to trust for the provider's TLS, beyond those of the system. */
  readonly trust: string | undefined;
  readonly algorithms: readonly OidcAlgorithm[];
  readonly clockToleranceSeconds: number;
  /** Tokens older than this since `iat` are refused. */
  readonly maxTokenAgeSeconds: number;
  /**
   * `required`: the nonce must commit to the key, and the key must have signed. `optional`: for the plain step CLI. `none`: tokens of workloads,
   * which hold no nonce; the key must have signed all the same.
   */
  readonly nonceBinding: 'required' | 'optional' | 'none';
  readonly requirements: ClaimRequirements;
  readonly principals: readonly PrincipalRule[];
  /** What principals of this provider may be, beyond the CA's own `certificates.user_principals`. */
  readonly allowedPrincipals: readonly NamePattern[];
  readonly lifetimeSeconds: number | undefined;
  readonly criticalOptions: readonly CertificateOption[];
  readonly extensions: readonly CertificateOption[];
  /** How long and how often certificates renew by their key after a sign-in; undefined: they do not. */
  readonly renewal: UserRenewalPolicy | undefined;
  readonly client: Omit<OidcClientSettings, 'renewal'>;
  readonly scopes: readonly string[];
}

/** Asymmetric and nothing else: `none`, HMAC and encryption are refused by omission. */
export const oidcAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type OidcAlgorithm = (typeof oidcAlgorithms)[number];

/** Each rule that is set must be met by a claim that is there: a missing claim fails closed. */
export interface ClaimRequirements {
  readonly emailVerified: boolean;
  /** Domains of `email`, lower case; empty: not asked for. */
  readonly domains: readonly string[];
  /** At least one of these in `groups`; empty: not asked for. */
  readonly groups: readonly string[];
  /** `acr` must be one of these; empty: not asked for. */
  readonly acr: readonly string[];
  /** `amr` must hold all of these. */
  readonly amr: readonly string[];
  /** Seconds since `auth_time` at most; undefined: not asked for. */
  readonly maxAuthAgeSeconds: number | undefined;
  /** Exact values of further claims, e.g. `repository` of a workload token. */
  readonly claims: ReadonlyMap<string, string>;
}
