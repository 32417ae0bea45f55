/**
 * One sign-in, from the CA's list of provisioners to a checked certificate with its key, both in memory alone. Knows neither terminal nor
 * agent: whoever calls shows what there is to show, and keeps what comes out.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { ProvisionersReply } from '#protocol/step-api.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { signInWithCode } from './authorization-code.ts';
import { type DevicePrompt, signInWithDevice } from './device-flow.ts';
import { type BoundKey, createBoundKey, proveIdentity } from './key-binding.ts';
import { LoginError } from './login-error.ts';
import { discoverProvider } from './openid-provider.ts';
import { providerError } from './provider-error.ts';
import { openProviderFetch } from './provider-fetch.ts';
import { type Provisioner, chooseProvisioner } from './provisioner.ts';
import { requestUserCertificate } from './user-certificate.ts';

const PROVIDER_TIMEOUT_MS = 15_000;

export interface SignInOptions {
  readonly authority: Authority;
  /** Trusts the root of `authority`. */
  readonly client: CaClient;
  /** Name of the provisioner; needed when the CA has several. */
  readonly provisioner?: string;
  /** `device`: the person signs in elsewhere. Asked once the provisioner is known. */
  readonly chooseFlow: (provisioner: Provisioner) => 'browser' | 'device';
  readonly showUrl: (url: URL) => Promise<void>;
  readonly showDevicePrompt: (prompt: DevicePrompt) => void;
  /** PEM of certificates to trust at the provider besides those of the system. */
  readonly providerCa?: string;
  /** For each answer of the provider; default 15 s. */
  readonly providerTimeoutMs?: number;
  readonly signal: AbortSignal;
}

export interface SignedIn {
  readonly provisioner: Provisioner;
  readonly key: BoundKey;
  readonly certificate: Certificate;
}

/** @throws CaError, LoginError, the reason of `signal` */
export async function signIn(options: SignInOptions): Promise<SignedIn> {
  const { client, authority } = options;
  const { provisioners } = await client.get('/provisioners', ProvisionersReply, new URLSearchParams({ limit: '100' }));
  const provisioner = chooseProvisioner(provisioners, options.provisioner);
  const key = createBoundKey();
  const { idToken, isBound } = await fetchIdToken(provisioner, key, options);
  const identityProof = isBound ? proveIdentity(key, idToken) : undefined;
  const proof = { keyBlob: key.blob, idToken, identityProof };
  const certificate = await requestUserCertificate(client, proof, fingerprintsOf(authority.userCaKeys));
  return { provisioner, key, certificate };
}

/** All that happens at the identity provider. @throws LoginError, the reason of `signal` */
export async function fetchIdToken(
  provisioner: Provisioner,
  { nonce }: BoundKey,
  options: Omit<SignInOptions, 'authority' | 'client' | 'provisioner'>,
): Promise<{ readonly idToken: string; readonly isBound: boolean }> {
  const { signal, providerCa, providerTimeoutMs = PROVIDER_TIMEOUT_MS } = options;
  await using http = openProviderFetch(providerCa, providerTimeoutMs, signal);
  try {
    const config = await discoverProvider(provisioner, http, providerTimeoutMs);
    if (options.chooseFlow(provisioner) === 'device') {
      return await signInWithDevice(config, { provisioner, nonce, signal, show: options.showDevicePrompt });
    }
    const idToken = await signInWithCode(config, { provisioner, nonce, signal, show: options.showUrl });
    return { idToken, isBound: true };
  } catch (error) {
    signal.throwIfAborted();
    throw providerError(error, provisioner.issuer);
  }
}

/** The reason with which waiting for a person ends. */
export function signInTimeout(seconds: number): LoginError {
  return new LoginError('sign-in-timeout', `nobody signed in within ${seconds} s`, {
    advice: 'Run the command again, with --timeout SECONDS for more time.',
  });
}
