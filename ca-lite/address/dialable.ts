/**
 * Which addresses the CA may connect to. An enrolment request names addresses freely, so this is what keeps the CA from being
 * used to reach what only it can reach (server-side request forgery).
 * Denied whatever the policy says: loopback, link-local, multicast, metadata services and the rest of `special-ranges.ts`,
 * the same hidden in IPv6 transition forms, and the CA itself. All else is denied too, unless the policy has a range for it.
 */
import type { IpAddress } from './address.ts';
import { type Cidr, allowedBy, isPrivate } from './cidr.ts';
import { embeddedIpv4 } from './embedded-ipv4.ts';
import { type SpecialRange, specialRangeOf } from './special-ranges.ts';

export type AlwaysDenied = SpecialRange | 'own-address';
export type Denial = AlwaysDenied | 'not-allowed';

declare const dialableBrand: unique symbol;
/** An address that {@link checkDialable} let pass; nothing else is ever connected to. */
export type DialableAddress = IpAddress & { readonly [dialableBrand]: true };

export interface LoopbackSwitch {
  /** For development on one machine: 127.0.0.0/8 and ::1 become dialable, and nothing else does. */
  readonly allowLoopback: boolean;
}

export interface DialPolicy extends LoopbackSwitch {
  /** Ranges that hosts may be in; empty allows none. */
  readonly allowed: readonly Cidr[];
  /** The CA's own addresses: of its interfaces, and those it is reached by from outside. */
  readonly own: readonly IpAddress[];
}

export type DialableVerdict =
  | { readonly allowed: true; readonly address: DialableAddress }
  | { readonly allowed: false; readonly address: IpAddress; readonly denial: Denial };

/** The decision for one address. `denial` is `not-allowed` where only a range in the policy is missing. */
export function checkDialable(address: IpAddress, policy: DialPolicy): DialableVerdict {
  const denial = alwaysDenied(address, policy.own, policy);
  if (denial !== undefined) return { allowed: false, address, denial };
  // A loopback address that gets here was let through by the switch, which is as explicit as a range.
  if (specialRangeOf(address) !== 'loopback' && !allowedBy(policy.allowed, address)) {
    return { allowed: false, address, denial: 'not-allowed' };
  }
  return { allowed: true, address: address as DialableAddress };
}

/** Why no policy can open an address, or undefined. */
export function alwaysDenied(
  address: IpAddress,
  own: readonly IpAddress[],
  { allowLoopback }: LoopbackSwitch,
): AlwaysDenied | undefined {
  const range = specialRangeOf(address);
  if (range === 'loopback') return allowLoopback ? undefined : range;
  return embeddedDenial(address, own) ?? range ?? (isOneOf(own, address) ? 'own-address' : undefined);
}

/** The switch for loopback stays out of here: nobody develops through a NAT64 gateway to 127.0.0.1. */
function embeddedDenial(address: IpAddress, own: readonly IpAddress[]): AlwaysDenied | undefined {
  for (const inside of embeddedIpv4(address)) {
    const denial = specialRangeOf(inside) ?? (isOneOf(own, inside) ? 'own-address' : undefined);
    if (denial !== undefined) return denial;
    // RFC 6052 section 3.1: the well-known prefix does not stand for private IPv4 addresses.
    if (isPrivate(inside)) return 'tunnel';
  }
  return undefined;
}

function isOneOf(list: readonly IpAddress[], address: IpAddress): boolean {
  return list.some((one) => one.text === address.text);
}
