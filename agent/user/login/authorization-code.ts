/**
 * Sign-in with the browser: authorization code with PKCE S256 (RFC 7636) through the system's browser and a loopback listener (RFC 8252),
 * with `state`, with the `nonce` that commits to the key, and with the issuer check of RFC 9207.
 */
import * as oidc from 'openid-client';
import { openLoopbackListener } from './loopback-listener.ts';
import { httpsUrl } from './openid-provider.ts';
import { foreignAnswer } from './provider-error.ts';
import { type ProviderTokens, keepRefreshToken } from './provider-tokens.ts';
import type { Provisioner } from './provisioner.ts';

export interface CodeFlow {
  readonly provisioner: Provisioner;
  readonly nonce: string;
  /** Brings the person to the provider: opens a browser, or shows the address. */
  readonly show: (url: URL) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Bound to `nonce`. @throws LoginError, the reason of `signal`, and errors of openid-client, for `providerError` */
export async function signInWithCode(
  config: oidc.Configuration,
  { provisioner, nonce, show, signal }: CodeFlow,
): Promise<ProviderTokens> {
  await using listener = await openLoopbackListener(provisioner.client.redirectUris);
  const [verifier, state] = [oidc.randomPKCECodeVerifier(), oidc.randomState()];
  const extra = provisioner.client.authorizationParameters;
  const parameters = {
    ...extra,
    scope: provisioner.scopes.join(' '),
    redirect_uri: listener.redirectUri,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  };
  const url = await authorizationUrl(config, provisioner, parameters);
  const answered = listener.answer(state, signal);
  answered.catch(() => undefined); // `show` may fail first
  await show(url);
  const answer = await answered;
  checkIssuer(answer, config.serverMetadata());
  const tokens = await oidc.authorizationCodeGrant(config, answer, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
    ...maxAgeOf(extra),
  });
  return { idToken: tokens.id_token ?? '', isBound: true, ...keepRefreshToken(tokens.refresh_token) };
}

/** Pushed (RFC 9126) where the CA says so or the provider insists, and offers it. */
async function authorizationUrl(
  config: oidc.Configuration,
  { client }: Provisioner,
  parameters: Record<string, string>,
): Promise<URL> {
  const metadata = config.serverMetadata();
  const wanted = client.pushedAuthorization || metadata.require_pushed_authorization_requests === true;
  const pushed = wanted && metadata.pushed_authorization_request_endpoint !== undefined;
  const url = pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, parameters)
    : oidc.buildAuthorizationUrl(config, parameters);
  return httpsUrl(url.href);
}

/** RFC 9207 section 2.4: an answer names its issuer where that says it does, and never another one. @throws LoginError `answer-not-ours` */
function checkIssuer({ searchParams }: URL, metadata: Readonly<oidc.ServerMetadata>): void {
  const told = searchParams.getAll('iss');
  if (told.length === 0 && metadata.authorization_response_iss_parameter_supported !== true) return;
  if (told.length !== 1 || told[0] !== metadata.issuer) throw foreignAnswer(undefined, metadata.issuer);
}

/** What was asked for has to be what came (OpenID Connect Core 1.0 section 3.1.2.1, `max_age`). */
function maxAgeOf({ max_age: asked = '' }: Readonly<Record<string, string>>): { readonly maxAge?: number } {
  return /^\d{1,9}$/.test(asked) ? { maxAge: Number(asked) } : {};
}
