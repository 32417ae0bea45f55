/**
 * Which identities a login to one host is offered, and in which order: a server counts each offered key as a failed attempt
 * and hangs up after a few (`MaxAuthTries`, 6 by default).
 * A connection bound for authentication gets first what that host took before, then the rest in plain order; expired
 * certificates not at all. Rules of the user narrow it further. Other connections get everything in plain order.
 */
import type { ListedIdentity } from '#openssh/agent-reply.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { type IdentityId, displayText, identityId } from './identity.ts';
import { matchesPattern } from './pattern.ts';
import type { SessionBinding } from './session-bindings.ts';

/** Hosts remembered; the one not used for longest is forgotten first. */
const MAX_REMEMBERED_HOSTS = 1000;

export interface ChoiceRule {
  /** Fingerprint of a host key or of a host CA, or a pattern for the principals of host certificates. */
  readonly host: string;
  /** Key fingerprints, or patterns for comments: only these are offered there. */
  readonly identities: readonly string[];
}

export interface Candidate extends ListedIdentity {
  /** Of the key, also for a certificate; undefined for kinds of key that we do not know. */
  readonly fingerprint?: Fingerprint | undefined;
  readonly wasExpired: boolean;
}

export class IdentityChoice {
  readonly #rules: readonly ChoiceRule[];
  readonly #maxOffered: number;
  readonly #accepted = new Map<Fingerprint, IdentityId>();

  /** @param maxOffered for logins to hosts that no rule names; Infinity: all */
  constructor(rules: readonly ChoiceRule[] = [], maxOffered = Infinity) {
    this.#rules = rules;
    this.#maxOffered = maxOffered;
  }

  /** A host let this identity sign, which it asks for only after it accepted the key. */
  remember(host: SessionBinding, id: IdentityId): void {
    const key = hostFingerprint(host);
    this.#accepted.delete(key);
    this.#accepted.set(key, id);
    const [oldest] = this.#accepted.keys();
    if (this.#accepted.size > MAX_REMEMBERED_HOSTS && oldest !== undefined) this.#accepted.delete(oldest);
  }

  choose(candidates: readonly Candidate[], last: SessionBinding | undefined): readonly Candidate[] {
    if (last === undefined || last.isForwarding) return candidates;
    const valid = candidates.filter((each) => !each.wasExpired);
    const rule = this.#rules.find((each) => isRuleFor(each, last));
    const named = rule === undefined ? valid : valid.filter((each) => isNamed(each, rule.identities));
    const accepted = this.#accepted.get(hostFingerprint(last));
    const rank = (each: Candidate): number => (identityId(each.blob) === accepted ? 0 : 1);
    return named.toSorted((a, b) => rank(a) - rank(b)).slice(0, rule === undefined ? this.#maxOffered : undefined);
  }
}

function hostFingerprint({ hostKey }: SessionBinding): Fingerprint {
  return fingerprintOf(encodePublicKey(hostKey.key));
}

function isRuleFor({ host }: ChoiceRule, last: SessionBinding): boolean {
  if (host.startsWith('SHA256:')) {
    return host === hostFingerprint(last) || (last.caBlob !== undefined && host === fingerprintOf(last.caBlob));
  }
  const names = last.hostKey.certificate?.principals ?? [];
  return names.some((name) => matchesPattern(name.toLowerCase(), host.toLowerCase()));
}

function isNamed(candidate: Candidate, identities: readonly string[]): boolean {
  const comment = displayText(candidate.comment);
  return identities.some((each) =>
    each.startsWith('SHA256:') ? each === candidate.fingerprint : matchesPattern(comment, each),
  );
}
