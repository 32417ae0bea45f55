/**
 * Step 2 of an enrolment, all of it: policy, then DNS, then the dial-back, each only when the one before is content, so that nothing is
 * looked up for a name that may not enrol and nothing is dialled that the policy and DNS do not agree on.
 * The addresses that DNS confirmed are the ones that are dialled; no name is resolved a second time.
 */
import { type Fingerprint, parseFingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type KeyType, isKeyType } from '#openssh/key-type.ts';
import { AddressError, type IpAddress, parseAddress } from '../address/address.ts';
import { type DialableAddress, checkDialable } from '../address/dialable.ts';
import { requesterGroup } from '../address/requester-group.ts';
import type { EnrolmentPolicy } from '../config/config.ts';
import type { ProvenKey } from '../dial-back/outcome.ts';
import type { Dialer } from '../dial-back/dialer.ts';
import type { Slots } from '../dial-back/slots.ts';
import { checkResolution } from '../dns/check-resolution.ts';
import { type HostName, parseHostName } from '../dns/host-name.ts';
import type { Resolver } from '../dns/resolver.ts';
import { matchesAny } from '../policy/name-pattern.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { ProvenHost } from './challenge.ts';
import { refusalOfAddress, refusalOfDialBack, refusalOfResolution, refusalOfSlot } from './check-refusal.ts';

export interface HostClaim {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly port: number;
  readonly fingerprint: string;
  readonly keyType?: string | undefined;
}

/** Who asks, for the bounds on each requester, and until when it is worth it. */
export interface Asker {
  readonly requester: string;
  readonly signal: AbortSignal;
}

export interface HostCheckParts {
  readonly policy: EnrolmentPolicy;
  readonly resolver: Resolver;
  readonly dialer: Dialer;
  /** Checks under way, look-ups and dial-backs together: what one requester starts must not hold up the others. */
  readonly slots: Slots<'requester'>;
  /** The CA's own addresses at this moment. */
  readonly ownAddresses: () => readonly IpAddress[];
}

interface Claim {
  readonly names: readonly HostName[];
  readonly addresses: readonly DialableAddress[];
  readonly port: number;
  readonly fingerprint: Fingerprint;
  readonly hint: KeyType | undefined;
}

export class HostCheck {
  readonly #parts: HostCheckParts;

  constructor(parts: HostCheckParts) {
    this.#parts = parts;
  }

  /** Every name resolves to exactly these addresses, and every address proves the key; or why not. */
  async proveAll(claimed: HostClaim, asker: Asker): Promise<ProvenHost | Refusal> {
    const claim = this.#judge(claimed);
    if (isRefusal(claim)) return claim;
    const { signal } = asker;
    const requester = requesterGroup(asker.requester);
    const slot = await this.#parts.slots.acquire({ requester }, signal);
    if (!slot.granted) return refusalOfSlot(slot.code);
    using _held = slot;
    const resolution = await this.#findResolutionFault(claim, { requester, signal });
    if (resolution !== undefined) return resolution;
    const { addresses, port, fingerprint, hint } = claim;
    const dialled = await this.#parts.dialer.dialBackAll({ addresses, port, fingerprint, hint, requester }, signal);
    if (!dialled.proven) return refusalOfDialBack(dialled.failed);
    return { names: claim.names, addresses: addresses.map(({ text }) => text), port, fingerprint };
  }

  /** Step 4: one of the addresses once more, for the full public key. */
  async proveKey(claimed: HostClaim, pick: number, asker: Asker): Promise<ProvenKey | Refusal> {
    const claim = this.#judge(claimed);
    if (isRefusal(claim)) return claim;
    const { signal } = asker;
    const requester = requesterGroup(asker.requester);
    const { addresses, port, fingerprint, hint } = claim;
    const address = addresses[pick % addresses.length];
    if (address === undefined) return refuse('bad-request', 'The challenge names no address.');
    const result = await this.#parts.dialer.dialBack({ address, port, fingerprint, hint, requester }, signal);
    return result.code === 'proven' ? result.key : refusalOfDialBack(result);
  }

  /** What policy alone can say. The policy may have changed between challenge and token: it is asked each time. */
  #judge(claimed: HostClaim): Claim | Refusal {
    const { policy } = this.#parts;
    if (policy.names.length === 0 || (policy.addresses.length === 0 && !policy.allowLoopback)) {
      return refuse(
        'enrolment-disabled',
        'No host may enrol with this CA yet: its administrator has to set enrolment.names and enrolment.addresses in ca.toml.',
      );
    }
    const names = judgeNames(claimed.names, policy);
    if (isRefusal(names)) return names;
    if (!policy.ports.has(claimed.port))
      return refuse('port-not-allowed', `Port ${claimed.port} is not among enrolment.ports of this CA.`);
    const addresses = this.#judgeAddresses(claimed.addresses);
    if (isRefusal(addresses)) return addresses;
    const fingerprint = readFingerprint(claimed.fingerprint);
    if (fingerprint === undefined) return refuse('bad-request', 'The fingerprint is not as `ssh-keygen -l` prints it.');
    const hint = claimed.keyType !== undefined && isKeyType(claimed.keyType) ? claimed.keyType : undefined;
    return { names, addresses, port: claimed.port, fingerprint, hint };
  }

  #judgeAddresses(texts: readonly string[]): DialableAddress[] | Refusal {
    const { policy } = this.#parts;
    const own = [...this.#parts.ownAddresses(), ...policy.ownAddresses];
    const dialable = new Map<string, DialableAddress>();
    for (const text of texts) {
      const address = readAddress(text);
      if (address === undefined) return refuse('bad-request', 'An address is neither an IPv4 nor an IPv6 address.');
      const verdict = checkDialable(address, { allowed: policy.addresses, own, allowLoopback: policy.allowLoopback });
      if (!verdict.allowed) return refusalOfAddress(verdict.address, verdict.denial);
      dialable.set(address.text, verdict.address);
    }
    return [...dialable.values()];
  }

  async #findResolutionFault({ names, addresses }: Claim, { requester, signal }: Asker): Promise<Refusal | undefined> {
    const { resolver } = this.#parts;
    const answers = await Promise.all(names.map((name) => resolver.resolve(name, signal, requester)));
    for (const answer of answers) {
      if (!answer.resolved) return refusalOfResolution(answer.name, answer.code);
      const verdict = checkResolution(answer, addresses);
      if (verdict.agrees) continue;
      const { text } = verdict.address;
      return refuse(
        'name-address-mismatch',
        verdict.code === 'address-not-in-dns'
          ? `${answer.name} does not resolve to ${text} here. Add the record, or enrol without that address.`
          : `${answer.name} also resolves to ${text}, which the request does not name. Every address of a name has to prove the key.`,
      );
    }
    return undefined;
  }
}

function judgeNames(texts: readonly string[], policy: EnrolmentPolicy): HostName[] | Refusal {
  const names: HostName[] = [];
  for (const text of texts) {
    const name = parseHostName(text);
    if (name === undefined) return refuse('name-invalid', 'A name is not a host name in lower case.');
    if (!matchesAny(policy.names, name))
      return refuse('name-not-allowed', `${name} is not among enrolment.names of this CA.`);
    if (!names.includes(name)) names.push(name);
  }
  return names;
}

function readAddress(text: string): IpAddress | undefined {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

function readFingerprint(text: string): Fingerprint | undefined {
  try {
    return parseFingerprint(text);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
