/**
 * The sign-in of a machine that has an ID token of its platform and nobody at a browser. Such a token cannot hold a nonce for the key, so that
 * less protects it: it is asked for when it is needed, signed by the key, sent once, and kept nowhere.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { ProvisionersReply } from '#protocol/step-api.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { type BoundKey, createBoundKey, proveIdentity } from '../login/key-binding.ts';
import { requestUserCertificate } from '../login/user-certificate.ts';
import { chooseWorkloadProvisioner } from './workload-provisioner.ts';
import { type TokenSource, obtainToken } from './workload-token.ts';

export interface WorkloadSignIn {
  readonly authority: Authority;
  readonly client: CaClient;
  /** Name of the provisioner; needed when the CA has several for workloads. */
  readonly provisioner: string | undefined;
  readonly source: TokenSource;
  readonly signal: AbortSignal;
}

export interface SignedInWorkload {
  /** Of the provisioner. */
  readonly name: string;
  readonly key: BoundKey;
  readonly certificate: Certificate;
}

/** @throws WorkloadError, CaError, LoginError, the reason of `signal` */
export async function signInWorkload({ authority, client, ...options }: WorkloadSignIn): Promise<SignedInWorkload> {
  const { provisioners } = await client.get('/provisioners', ProvisionersReply, new URLSearchParams({ limit: '100' }));
  const { name, audience } = chooseWorkloadProvisioner(provisioners, options.provisioner);
  const key = createBoundKey();
  const idToken = await obtainToken(options.source, audience, options.signal);
  const proof = { keyBlob: key.blob, idToken, identityProof: proveIdentity(key, idToken) };
  const certificate = await requestUserCertificate(client, proof, fingerprintsOf(authority.userCaKeys));
  return { name, key, certificate };
}
