/** The CA's configuration as the rest of the CA sees it: checked once, complete, and without any text left to interpret. */
import type { Cidr } from '../address/cidr.ts';
import type { IpAddress } from '../address/address.ts';
import type { KeyType } from '#openssh/key-type.ts';
import type { Pkcs11Settings } from '../pkcs11/signer-section.ts';
import type { YubiHsmSettings } from '../yubihsm/signer-section.ts';
import type { OidcPolicy } from '../oidc/oidc-policy.ts';
import type { NamePattern } from '../policy/name-pattern.ts';

export interface Config {
  readonly name: string;
  /** Lower case; names first, then addresses, as written. */
  readonly dnsNames: readonly string[];
  readonly listen: { readonly host: string | undefined; readonly port: number };
  readonly store: { readonly type: 'sqlite'; readonly path: string };
  readonly signer: SignerSettings;
  readonly certificates: CertificatePolicy;
  readonly enrolment: EnrolmentPolicy;
  readonly renewal: RenewalPolicy;
  /** Names and issuers are each unique. */
  readonly oidc: readonly OidcPolicy[];
  readonly dialBack: DialBackLimits;
  readonly dns: { readonly servers: readonly string[]; readonly timeoutSeconds: number };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
}

/** Where the SSH CA keys live. */
export type SignerSettings = { readonly type: 'file' } | YubiHsmSettings | Pkcs11Settings;

export interface LifetimePolicy {
  readonly defaultSeconds: number;
  readonly maxSeconds: number;
}

export interface CertificatePolicy {
  readonly host: LifetimePolicy;
  readonly user: LifetimePolicy;
  readonly backdateSeconds: number;
  readonly keyTypes: ReadonlySet<KeyType>;
  readonly minRsaBits: number;
  readonly hostPrincipals: readonly NamePattern[];
  readonly userPrincipals: readonly NamePattern[];
}

export interface EnrolmentPolicy {
  readonly names: readonly NamePattern[];
  readonly addresses: readonly Cidr[];
  readonly ports: ReadonlySet<number>;
  readonly shortNames: boolean;
  readonly addressPrincipals: boolean;
  readonly challengeSeconds: number;
  readonly tokenSeconds: number;
  /** Addresses of the CA that it does not see on its own interfaces (NAT, load balancer). */
  readonly ownAddresses: readonly IpAddress[];
  readonly allowLoopback: boolean;
}

/** What a renewal takes beyond what a certificate takes at all (docs/lineage.md). */
export interface RenewalPolicy {
  readonly allowAfterExpiry: boolean;
  /** How long ago a certificate may have expired; undefined: any time. */
  readonly maxAgeSeconds: number | undefined;
  /** After expiry the host must prove its key over the network again. */
  readonly requireDialBack: boolean;
  /** How long after its successor was first seen in use a certificate may show up without being taken for a copy. */
  readonly cloneGraceSeconds: number;
  /** A quarantine ends by itself when a dial-back can tell the two apart. */
  readonly healByDialBack: boolean;
  /** Of users whom an administrator's token admitted; those of a provisioner have a policy of their own. Undefined: they do not renew. */
  readonly users: UserRenewalPolicy | undefined;
  /** At a rekey the new key must sign too, which the public `step ssh rekey` cannot. */
  readonly requireRekeyProof: boolean;
}

/** Certificates of users renew by their key, up to a time and a number of renewals after the last sign-in (docs/oidc.md). */
export interface UserRenewalPolicy {
  readonly forSeconds: number;
  readonly times: number;
}

export interface DialBackLimits {
  readonly timeoutSeconds: number;
  readonly concurrent: number;
  readonly concurrentPerRequester: number;
  readonly concurrentPerTarget: number;
}
