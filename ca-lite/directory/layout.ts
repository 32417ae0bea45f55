/** What lies where in a CA directory. The directory is 0700; everything in `secrets/` is 0600 and encrypted under one passphrase. */
import { join } from 'node:path';

export interface CaLayout {
  readonly directory: string;
  readonly config: string;
  readonly rootCertificate: string;
  readonly intermediateCertificate: string;
  /** Only after `init --csr`. */
  readonly intermediateRequest: string;
  readonly serverCertificate: string;
  readonly hostCaPublicKey: string;
  readonly userCaPublicKey: string;
  readonly secrets: string;
  readonly certificates: string;
  secret(name: SecretName): string;
}

/** Each private key of the CA. The root key is needed again only to replace the intermediate: it can be kept elsewhere. */
export const secretNames = ['root', 'intermediate', 'server', 'ssh_host_ca', 'ssh_user_ca', 'token'] as const;
/** CA keys of a rotation are numbered after the date of their making. */
export type RotatedSecretName = `ssh_${'host' | 'user'}_ca_${number}`;
export type SecretName = (typeof secretNames)[number] | RotatedSecretName | `${RotatedSecretName}.handover`;

export function caLayout(directory: string): CaLayout {
  const certificates = join(directory, 'certs');
  const secrets = join(directory, 'secrets');
  return {
    directory,
    config: join(directory, 'ca.toml'),
    certificates,
    rootCertificate: join(certificates, 'root_ca.crt'),
    intermediateCertificate: join(certificates, 'intermediate_ca.crt'),
    intermediateRequest: join(certificates, 'intermediate_ca.csr'),
    serverCertificate: join(certificates, 'server.crt'),
    hostCaPublicKey: join(certificates, 'ssh_host_ca.pub'),
    userCaPublicKey: join(certificates, 'ssh_user_ca.pub'),
    secrets,
    secret: (name) => join(secrets, `${name}.key`),
  };
}
