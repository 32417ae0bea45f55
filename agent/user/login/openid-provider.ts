/**
 * The identity provider of a provisioner, as its discovery document tells (OpenID Connect Discovery 1.0): our client there, and checks that no
 * endpoint is anything but https. Does I/O through openid-client.
 */
import * as oidc from 'openid-client';
import { LoginError } from './login-error.ts';
import { foreignAnswer } from './provider-error.ts';
import type { ProviderFetch } from './provider-fetch.ts';
import type { Provisioner } from './provisioner.ts';

/** @throws errors of openid-client, for `providerError`; LoginError `answer-not-ours`, `provider-invalid` */
export async function discoverProvider(
  { issuer, clientId, clientSecret }: Provisioner,
  { fetch }: ProviderFetch,
  timeoutMs: number,
): Promise<oidc.Configuration> {
  const authentication = clientSecret === undefined ? oidc.None() : secretAuthentication(clientSecret);
  const config = await oidc.discovery(new URL(issuer), clientId, undefined, authentication, {
    [oidc.customFetch]: fetch,
    timeout: timeoutMs / 1000,
  });
  config[oidc.customFetch] = fetch;
  const metadata = config.serverMetadata();
  // openid-client makes exceptions for some providers; the CA's comparison makes none
  if (metadata.issuer !== issuer) throw foreignAnswer(undefined, issuer);
  return config;
}

/** The endpoint, which a person or a browser is going to be sent to. @throws LoginError `provider-invalid` */
export function httpsUrl(text: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (url.protocol === 'https:' && url.username === '' && url.password === '') return url;
  }
  throw new LoginError('provider-invalid', 'the identity provider names an address that is not https', {
    advice: 'Nothing was opened. Its administrator has to look at its configuration.',
  });
}

/** In the header unless the provider takes it in the body alone (RFC 8414 section 2: the default is `client_secret_basic`). */
function secretAuthentication(secret: string): oidc.ClientAuth {
  const [basic, post] = [oidc.ClientSecretBasic(secret), oidc.ClientSecretPost(secret)];
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const usesBasic = methods.includes('client_secret_basic') || !methods.includes('client_secret_post');
    return (usesBasic ? basic : post)(server, client, body, headers);
  };
}
