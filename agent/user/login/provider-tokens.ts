/** What the identity provider gives for a sign-in, and again for its refresh token (OpenID Connect Core 1.0 section 12). */

/** Providers write tokens as long as they like; longer ones fit no keychain. */
export const MAX_REFRESH_TOKEN_LENGTH = 16 * 1024;

export interface ProviderTokens {
  readonly idToken: string;
  /** Whether its nonce is the one that commits to our key. */
  readonly isBound: boolean;
  /** For the next renewal; it replaces the one before. */
  readonly refreshToken?: string;
}

/** An empty or endless refresh token is none. */
export function keepRefreshToken(given: string | undefined): { readonly refreshToken?: string } {
  if (given === undefined || given === '' || given.length > MAX_REFRESH_TOKEN_LENGTH) return {};
  return { refreshToken: given };
}
