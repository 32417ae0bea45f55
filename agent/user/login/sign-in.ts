/**
 * One sign-in, from the CA's list of provisioners to a checked certificate with its key, both in memory alone. Knows neither terminal nor
 * agent: whoever calls shows what there is to show, and keeps what comes out.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { ProvisionersReply } from '#protocol/step-api.ts';
import type { CaClient } from '../../ca/ca-client.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { signInWithCode } from './authorization-code.ts';
import { signInWithDevice } from './device-flow.ts';
import type { DevicePrompt } from './device-prompt.ts';
import { type BoundKey, createBoundKey, proveIdentity } from './key-binding.ts';
import { LoginError } from './login-error.ts';
import { discoverProvider } from './openid-provider.ts';
import { providerError } from './provider-error.ts';
import { openProviderFetch } from './provider-fetch.ts';
import type { ProviderTokens } from './provider-tokens.ts';
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
  /** Whether a session will use a refresh token: without one none is asked for. */
  readonly keepsSession: boolean;
  /** For each answer of the provider; default 15 s. */
  readonly providerTimeoutMs?: number;
  readonly signal: AbortSignal;
}

export interface SignedIn {
  readonly provisioner: Provisioner;
  readonly key: BoundKey;
  readonly certificate: Certificate;
  /** Whether the ID token was bound to the key. */
  readonly isBound: boolean;
  readonly refreshToken?: string;
}

/** @throws CaError, LoginError, the reason of `signal` */
export async function signIn(options: SignInOptions): Promise<SignedIn> {
  const { client, authority } = options;
  const { provisioners } = await client.get('/provisioners', ProvisionersReply, new URLSearchParams({ limit: '100' }));
  const provisioner = chooseProvisioner(provisioners, options.provisioner);
  const key = createBoundKey();
  const tokens = await fetchIdToken(
    options.keepsSession ? provisioner : withoutOfflineAccess(provisioner),
    key,
    options,
  );
  const certificate = await certify({ client, authority, key, tokens });
  return { ...tokens, provisioner, key, certificate };
}

export interface Certifying {
  readonly client: CaClient;
  readonly authority: Authority;
  readonly key: BoundKey;
  readonly tokens: ProviderTokens;
}

/** The certificate for a key and its ID token. @throws CaError, LoginError */
export async function certify({ client, authority, key, tokens }: Certifying): Promise<Certificate> {
  const { idToken, isBound } = tokens;
  const identityProof = isBound ? proveIdentity(key, idToken) : undefined;
  const proof = { keyBlob: key.blob, idToken, identityProof };
  return requestUserCertificate(client, proof, fingerprintsOf(authority.userCaKeys));
}

/** A refresh token that nobody will use is one that somebody may steal (OpenID Connect Core 1.0 section 11). */
function withoutOfflineAccess(provisioner: Provisioner): Provisioner {
  return { ...provisioner, scopes: provisioner.scopes.filter((scope) => scope !== 'offline_access') };
}

/** All that happens at the identity provider. @throws LoginError, the reason of `signal` */
export async function fetchIdToken(
  provisioner: Provisioner,
  { nonce }: BoundKey,
  options: Omit<SignInOptions, 'authority' | 'client' | 'provisioner' | 'keepsSession'>,
): Promise<ProviderTokens> {
  const { signal, providerCa, providerTimeoutMs = PROVIDER_TIMEOUT_MS } = options;
  const trusted = [provisioner.client.providerCertificates ?? [], providerCa ?? []].flat();
  await using http = openProviderFetch(trusted, providerTimeoutMs, signal);
  try {
    const config = await discoverProvider(provisioner, http, providerTimeoutMs);
    if (options.chooseFlow(provisioner) === 'device') {
      return await signInWithDevice(config, { provisioner, nonce, signal, show: options.showDevicePrompt });
    }
    return await signInWithCode(config, { provisioner, nonce, signal, show: options.showUrl });
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
