/** Renewal by proof of possession (protocol/renewal.ts): a token made with the key of the certificate, for its successor. Where the CA's policy lets it. */
import { randomBytes } from 'node:crypto';
import { keyTypes } from '#openssh/key-type.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { SshRenewReply } from '#protocol/renewal.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { makeSshpopToken } from '../../host/renewal/sshpop-token.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { acceptUserCertificate } from '../login/user-certificate.ts';
import type { Session } from './session.ts';

/** @throws CaError, LoginError `certificate-not-ours`, TypeError without a certificate */
export async function renewByKey(session: Session, authority: Authority, client: CaClient): Promise<Certificate> {
  const { held, key } = session;
  if (held === undefined) throw new TypeError('there is no certificate to prove the possession of');
  const ott = await makeSshpopToken({
    key: {
      path: 'the key of the sign-in',
      publicKey: key.publicKey,
      sign: async (data, algorithm = keyTypes[key.publicKey.type].signatureAlgorithms[0]) =>
        signWithKeyObject(key.privateKey, algorithm, data),
    },
    certificate: held.certificate,
    operation: 'renew',
    authority: new URL(authority.url).host,
    now: BigInt(Math.floor(Date.now() / 1000)),
    id: randomBytes(16),
  });
  const { crt } = await client.post('/ssh/renew', { ott }, SshRenewReply);
  return acceptUserCertificate(crt, key.blob, fingerprintsOf(authority.userCaKeys));
}
