/** Sessions with real keys and certificates, for the tests of what is decided about them. */
import type { Certificate } from '#openssh/certificate.ts';
import type { Session } from '#agent/user/session/session.ts';
import { type BoundKey, createBoundKey } from '#agent/user/login/key-binding.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { sampleCertificate } from '../../../openssh/samples.ts';

/** Epoch milliseconds. */
export const START = 1_800_000_000_000;
export const HOUR = 3_600_000;

export const sampleProvisioner: Provisioner = {
  name: 'corp',
  issuer: 'https://idp.example.com',
  clientId: 'countersign',
  scopes: ['openid'],
  client: {
    redirectUris: ['http://127.0.0.1:0/'],
    nonceBinding: 'required',
    deviceFlow: false,
    authorizationParameters: {},
    pushedAuthorization: false,
  },
};

/** Of a CA that dates back by a minute. @param from, until epoch milliseconds */
export function certificateFor({ publicKey }: BoundKey, from: number, until: number): Certificate {
  return sampleCertificate({
    key: publicKey,
    type: 'user',
    principals: ['alice'],
    validAfter: BigInt(from / 1000) - 60n,
    validBefore: BigInt(until / 1000),
    criticalOptions: [],
    extensions: [],
  });
}

/** Signed in at START, for nine hours, with a refresh token. */
export function sampleSession(changes: Partial<Session> = {}): Session {
  const key = createBoundKey();
  return {
    id: 'session-of-alice',
    place: { stateDirectory: '/state' },
    caUrl: 'https://ca.example.com:8443',
    provisionerName: 'corp',
    provisioner: sampleProvisioner,
    signedInAt: START,
    key,
    isBound: true,
    refreshToken: 'first',
    storedIn: 'memory',
    held: { certificate: certificateFor(key, START, START + 9 * HOUR), obtainedAt: START },
    ...changes,
  };
}
