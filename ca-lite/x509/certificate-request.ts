/** The request for our intermediate (PKCS #10, RFC 2986), for an operator who has a PKI. */
import type { KeyObject } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { cryptoKeys, signingAlgorithm, subjectNamed } from './certificate-authority.ts';

/** PEM. It asks for a CA certificate with path length 0: our intermediate signs server certificates only. */
export async function createIntermediateRequest(name: string, privateKey: KeyObject): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subjectNamed(`${name} Intermediate CA`),
    keys: await cryptoKeys(privateKey),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return request.toString('pem');
}
