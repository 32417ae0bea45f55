/**
 * A new ID token without the person, for the refresh token of the sign-in (OpenID Connect Core 1.0 section 12.2), and its end at the provider
 * (RFC 7009). A provider may put the nonce of the sign-in into the new ID token or leave it out, and must not put another: bound it is only
 * with the nonce, and then to the key of that sign-in alone. Does I/O through openid-client.
 */
import * as oidc from 'openid-client';
import { printable } from '../../ca/foreign-text.ts';
import { LoginError } from './login-error.ts';
import { discoverProvider, httpsUrl } from './openid-provider.ts';
import { foreignAnswer, providerError } from './provider-error.ts';
import { openProviderFetch } from './provider-fetch.ts';
import { type ProviderTokens, keepRefreshToken } from './provider-tokens.ts';
import type { Provisioner } from './provisioner.ts';

const TIMEOUT_MS = 15_000;
/** RFC 6749 section 5.2: the token has expired, was revoked, or was used before; or the client is not there any more. */
const finalCodes: ReadonlySet<string> = new Set(['invalid_grant', 'invalid_client', 'unauthorized_client']);

export interface ProviderVisit {
  readonly provisioner: Provisioner;
  /** PEM of certificates to trust at the provider besides those of the system and of the CA. */
  readonly providerCa?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * @param nonce of the sign-in
 * @throws LoginError `session-ended` when the provider does not take the token any more, and those of a sign-in; the reason of `signal`
 */
export async function refreshTokens(
  refreshToken: string,
  nonce: string,
  visit: ProviderVisit,
): Promise<ProviderTokens> {
  const { issuer } = visit.provisioner;
  return atProvider(visit, async (config) => {
    const answer = await oidc.refreshTokenGrant(config, refreshToken).catch((error: unknown) => {
      if (error instanceof oidc.ResponseBodyError && finalCodes.has(error.error)) throw sessionEnded(error, issuer);
      throw error;
    });
    const given = answer.claims()?.nonce;
    const next = keepRefreshToken(answer.refresh_token ?? refreshToken);
    if (given !== undefined && given !== nonce) throw foreignAnswer(undefined, printable(issuer, 128));
    return { idToken: answer.id_token ?? '', isBound: given === nonce, ...next };
  });
}

/** @returns false when the provider has no place to say it (RFC 7009) @throws LoginError, the reason of `signal` */
export async function revokeRefreshToken(refreshToken: string, visit: ProviderVisit): Promise<boolean> {
  return atProvider(visit, async (config) => {
    const endpoint = config.serverMetadata().revocation_endpoint;
    if (endpoint === undefined) return false;
    httpsUrl(endpoint);
    await oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' });
    return true;
  });
}

async function atProvider<T>(
  { provisioner, providerCa, signal }: ProviderVisit,
  work: (config: oidc.Configuration) => Promise<T>,
): Promise<T> {
  const trusted = [provisioner.client.providerCertificates ?? [], providerCa ?? []].flat();
  await using http = openProviderFetch(trusted, TIMEOUT_MS, signal);
  try {
    return await work(await discoverProvider(provisioner, http, TIMEOUT_MS));
  } catch (error) {
    signal.throwIfAborted();
    throw providerError(error, provisioner.issuer);
  }
}

function sessionEnded(cause: unknown, issuer: string): LoginError {
  return new LoginError('session-ended', `${printable(issuer, 128)} has ended this sign-in`, {
    cause,
    advice:
      'It was signed out there, has become too old, or its refresh token was used twice. Sign in again: countersign login',
  });
}
