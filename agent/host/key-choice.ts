/** Which of sshd's host keys to enrol. Pure. */
import { keyTypes } from '#openssh/key-type.ts';
import type { HostKey, HostKeys } from './host-key.ts';
import { HostError } from './host-error.ts';
import { certificateAlgorithms } from './certificate-algorithm.ts';
import type { SshdSettings } from './sshd-settings.ts';

export interface KeyChoice {
  readonly keys: readonly HostKey[];
  readonly remarks: readonly string[];
}

/** The one that every client of the last ten years takes first comes first. */
const preference = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'];

/** @param all every key, and not only the best one @throws HostError `no-host-key`, `certificates-disabled` */
export function chooseKeys({ keys, unusable }: HostKeys, settings: SshdSettings, all: boolean): KeyChoice {
  if (keys.length === 0) throw noKey(unusable);
  const sorted = keys.toSorted((a, b) => rank(a) - rank(b));
  const wanted = all ? sorted : sorted.slice(0, 1);
  const served = wanted.filter((key) => allowsCertificate(key, settings));
  if (served.length === 0) throw disabled(wanted);
  return { keys: served, remarks: all ? remarksOn(wanted, served, unusable) : remarksOnOne(served) };
}

function rank({ publicKey }: HostKey): number {
  return preference.indexOf(publicKey.type);
}

export function allowsCertificate({ publicKey }: HostKey, { hostKeyAlgorithms }: SshdSettings): boolean {
  return certificateAlgorithms(publicKey.type).some((name) => hostKeyAlgorithms.includes(name));
}

function remarksOn(wanted: readonly HostKey[], served: readonly HostKey[], unusable: HostKeys['unusable']): string[] {
  const left = wanted.filter((key) => !served.includes(key));
  return [
    ...left.map(({ path }) => `${path} is left out: HostKeyAlgorithms of sshd allows no certificate for it`),
    ...unusable.map(({ path, reason }) => `${path} is left out: ${reason}`),
  ];
}

function remarksOnOne([key]: readonly HostKey[]): string[] {
  if (key === undefined || key.publicKey.type === 'ssh-ed25519') return [];
  return [`sshd has no Ed25519 host key; ${keyTypes[key.publicKey.type].label} is enrolled instead`];
}

function noKey(unusable: HostKeys['unusable']): HostError {
  const why = unusable.map(({ path, reason }) => `${path}: ${reason}`).join('; ') || 'its configuration names none';
  return new HostError('no-host-key', `sshd has no host key that can be enrolled (${why})`, {
    advice: 'Make the missing keys with `ssh-keygen -A`, and run as root.',
  });
}

function disabled(wanted: readonly HostKey[]): HostError {
  const names = wanted.flatMap(({ publicKey }) => certificateAlgorithms(publicKey.type));
  return new HostError('certificates-disabled', 'the configuration of sshd does not let it show host certificates', {
    advice: `Add one of these to HostKeyAlgorithms in sshd_config, or take the line out: ${[...new Set(names)].join(', ')}`,
  });
}
