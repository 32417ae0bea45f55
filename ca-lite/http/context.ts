/** What the routes work with: everything that was opened at start, the clock, and the settings, which can change while the CA serves. */
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { ChallengeKeyRing } from '../enrol/challenge-key.ts';
import type { HostCheck } from '../enrol/host-check.ts';
import type { CaSigners } from '../issue/issuer.ts';
import type { OidcProvisioners } from '../oidc/provisioners.ts';
import type { KrlPublisher } from '../revocation/krl-publisher.ts';
import type { Store } from '../store/store.ts';
import type { TokenKey } from '../token/token-key.ts';
import type { Statements } from '../trust/statements.ts';
import type { TrustedKeys } from '../trust/trusted-keys.ts';

/** What ca.toml decides. */
export interface CaSettings {
  readonly config: Config;
  readonly oidc: OidcProvisioners;
  readonly hostCheck: HostCheck;
}

/** What is the same from start to end. */
export interface CaParts {
  readonly store: Store;
  readonly signers: CaSigners;
  readonly tokenKey: TokenKey;
  readonly challengeKeys: Pick<ChallengeKeyRing, 'current'>;
  /** Fingerprints of the host CA keys. This, signers, trust and statements follow a rotation while the CA serves: ask them anew for each request. */
  readonly hostCas: ReadonlySet<Fingerprint>;
  readonly trust: TrustedKeys;
  readonly statements: Statements;
  readonly krl: Pick<KrlPublisher, 'current'>;
  readonly rootPem: string;
  /** Hex SHA-256 of the root's DER. */
  readonly rootFingerprint: string;
  /** `host:port` by which clients reach this CA. */
  readonly authority: string;
  /** Epoch seconds. */
  readonly now: () => bigint;
  readonly log: Logger;
}

export interface CaContext extends CaParts, CaSettings {}

/** A request takes the context once, at its start: settings that change meanwhile count for the next one. */
export interface ContextSource {
  readonly current: CaContext;
}

export class LiveContext implements ContextSource {
  #current: CaContext;

  constructor(first: CaContext) {
    this.#current = first;
  }

  get current(): CaContext {
    return this.#current;
  }

  /** For the requests that begin from now on, all of it at once. */
  change(changes: CaSettings | Pick<CaContext, 'authority'>): void {
    this.#current = { ...this.#current, ...changes };
  }
}
