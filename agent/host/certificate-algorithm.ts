/** Host key algorithm names on the wire, as HostKeyAlgorithms of sshd_config(5) lists them. One place for both directions. */
import { type KeyType, keyTypes } from '#openssh/key-type.ts';

/** Those that make a server show its certificate for a key of this type; RSA has one for each hash (RFC 8332). */
export function certificateAlgorithms(type: KeyType): string[] {
  const { signatureAlgorithms, certificateType } = keyTypes[type];
  return type === 'ssh-rsa' ? signatureAlgorithms.map((name) => `${name}-cert-v01@openssh.com`) : [certificateType];
}

/** Those that make a server show its plain key of this type. */
export function plainAlgorithms(type: KeyType): string[] {
  return [...keyTypes[type].signatureAlgorithms];
}
