/**
 * Whether a name stands for the addresses that a request claims for it: exactly these, no more and no fewer. With a claimed
 * address missing from DNS anybody could claim the name; with a resolved one unclaimed, a host that was never dialled would
 * be reached under the name.
 */
import type { IpAddress } from '../address/address.ts';
import type { Resolved } from './resolver.ts';

export type ResolutionVerdict =
  | { readonly agrees: true }
  | {
      readonly agrees: false;
      readonly code: 'address-not-in-dns' | 'address-not-claimed';
      /** The first address that only one side has. */
      readonly address: IpAddress;
    };

/** @param claimed in any order, duplicates allowed */
export function checkResolution(answer: Resolved, claimed: readonly IpAddress[]): ResolutionVerdict {
  const notInDns = firstMissing(claimed, answer.addresses);
  if (notInDns !== undefined) return { agrees: false, code: 'address-not-in-dns', address: notInDns };
  const notClaimed = firstMissing(answer.addresses, claimed);
  if (notClaimed !== undefined) return { agrees: false, code: 'address-not-claimed', address: notClaimed };
  return { agrees: true };
}

function firstMissing(of: readonly IpAddress[], from: readonly IpAddress[]): IpAddress | undefined {
  const present = new Set(from.map(({ text }) => text));
  return of.find(({ text }) => !present.has(text));
}
