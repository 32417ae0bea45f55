/**
 * The host key algorithms that a dial-back asks for, and in which order. A server shows one host key for each connection, the
 * first of our list that it has, so finding a key by its fingerprint takes a connection for each type that the server has.
 * Left out on purpose: `ssh-rsa` (SHA-1), DSA, and all certificate algorithms, since it is the plain key that has to be proven.
 */
import { type KeyType, isKeyType, keyTypes } from '#openssh/key-type.ts';

export type HostKeyAlgorithm = (typeof preference)[number];

/** What hosts have most often comes first. */
const preference = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
] as const;

export function keyTypeOfAlgorithm(algorithm: HostKeyAlgorithm): KeyType {
  return isKeyType(algorithm) ? algorithm : 'ssh-rsa';
}

/** All algorithms, those of the hinted key type first. */
export function algorithmsToTry(hint: KeyType | undefined): HostKeyAlgorithm[] {
  const hinted = preference.filter((algorithm) => keyTypeOfAlgorithm(algorithm) === hint);
  return [...hinted, ...preference.filter((algorithm) => !hinted.includes(algorithm))];
}

/** What is left to ask for, after a key of one type was seen and if the server said what it has. */
export function algorithmsLeft(
  asked: readonly HostKeyAlgorithm[],
  seen: KeyType,
  offered: readonly string[] | undefined,
): HostKeyAlgorithm[] {
  const others = asked.filter((algorithm) => keyTypeOfAlgorithm(algorithm) !== seen);
  return offered === undefined ? others : others.filter((algorithm) => offered.includes(algorithm));
}

export function isHostKeyAlgorithm(name: string): name is HostKeyAlgorithm {
  return (preference as readonly string[]).includes(name);
}

/** Whether keys of a type can be proven by dial-back at all; keys on security tokens cannot serve as host keys here. */
export function isProvable(type: KeyType): boolean {
  return keyTypes[type].signatureAlgorithms.some(isHostKeyAlgorithm);
}
