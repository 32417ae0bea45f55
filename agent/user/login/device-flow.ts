/**
 * Sign-in on another device (RFC 8628): a code and an address here, the browser there. The library waits as the provider asks for
 * (`interval`, `slow_down`). The endpoint is the one of the discovery document; none there, no flow.
 */
import * as oidc from 'openid-client';
import { printable } from '../../ca/foreign-text.ts';
import type { DevicePrompt } from './device-prompt.ts';
import { LoginError } from './login-error.ts';
import { httpsUrl } from './openid-provider.ts';
import { foreignAnswer } from './provider-error.ts';
import { type ProviderTokens, keepRefreshToken } from './provider-tokens.ts';
import type { Provisioner } from './provisioner.ts';

export interface DeviceFlow {
  readonly provisioner: Provisioner;
  readonly nonce: string;
  readonly show: (prompt: DevicePrompt) => void;
  readonly signal: AbortSignal;
}

/** @throws LoginError, and errors of openid-client, for `providerError` */
export async function signInWithDevice(
  config: oidc.Configuration,
  { provisioner, nonce, show, signal }: DeviceFlow,
): Promise<ProviderTokens> {
  requireDeviceFlow(config, provisioner);
  const { issuer, client, scopes } = provisioner;
  const parameters = { ...client.authorizationParameters, scope: scopes.join(' '), nonce };
  const started = await oidc.initiateDeviceAuthorization(config, parameters);
  const { verification_uri: uri, verification_uri_complete: complete, user_code: code, expires_in: seconds } = started;
  show({
    url: httpsUrl(uri),
    code: printable(code, 64),
    ...(complete === undefined ? {} : { completeUrl: httpsUrl(complete) }),
  });
  const expiry = AbortSignal.timeout(Math.min(seconds, 3600) * 1000);
  try {
    const waiting = AbortSignal.any([signal, expiry]);
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, started, undefined, { signal: waiting });
    const given = tokens.claims()?.nonce;
    if (tokens.id_token === undefined) throw foreignAnswer(undefined, issuer);
    if (given !== undefined && given !== nonce) throw foreignAnswer(undefined, issuer);
    if (given === undefined && client.nonceBinding === 'required') throw nonceMissing(issuer);
    return { idToken: tokens.id_token, isBound: given === nonce, ...keepRefreshToken(tokens.refresh_token) };
  } catch (error) {
    signal.throwIfAborted();
    if (!expiry.aborted) throw error;
    throw new LoginError('sign-in-timeout', 'nobody entered the code while it was valid', {
      cause: error,
      advice: 'Run the command again for a new code.',
    });
  }
}

function requireDeviceFlow(config: oidc.Configuration, { client, name }: Provisioner): void {
  const endpoint = config.serverMetadata().device_authorization_endpoint;
  if (client.deviceFlow && endpoint !== undefined) return void httpsUrl(endpoint);
  const who = client.deviceFlow ? 'its identity provider does not offer it' : 'the CA does not take it';
  throw new LoginError('device-flow-unavailable', `${printable(name, 64)} has no sign-in with a code: ${who}`, {
    advice:
      'Sign in with a browser. Here without one: run with --no-browser and open the address elsewhere, with the port of the redirect forwarded.',
  });
}

function nonceMissing(issuer: string): LoginError {
  return new LoginError('nonce-missing', `${printable(issuer, 128)} gave an ID token without our nonce`, {
    advice:
      'It does not bind tokens of this flow to a key. Sign in with a browser, or the administrator of the CA sets nonce_binding = "optional".',
  });
}
