/** Domains 1 to 16 of the YubiHSM as a 16-bit map: bit n-1 stands for domain n (Yubico, "Domain"). */

/** The map of some domains. Throws TypeError for a number outside 1 to 16. */
export function domainBits(...domains: readonly number[]): number {
  return domains.reduce((set, domain) => {
    if (!Number.isInteger(domain) || domain < 1 || domain > 16) throw new TypeError(`no such domain: ${domain}`);
    return set | (1 << (domain - 1));
  }, 0);
}

/** All 16 domains. */
export const allDomains = 0xffff;

/** The domains of a map, ascending. */
export function domainNumbers(set: number): number[] {
  return Array.from({ length: 16 }, (_, index) => index + 1).filter((domain) => set & (1 << (domain - 1)));
}
