/** What went wrong at the identity provider, in words: by the codes of openid-client, undici and TLS, never by message text. Pure. */
import { AuthorizationResponseError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client';
import { printable } from '../../ca/foreign-text.ts';
import { transportError } from '../../ca/transport-error.ts';
import { isFailure } from '../../failure.ts';
import { LoginError } from './login-error.ts';

const MAX_WORDS = 300;

const notOpenid =
  'is it an OpenID provider? Something in front of it, such as a login portal or proxy, may have answered in its place.';

/** Codes of openid-client for an answer that is well formed and meant for another sign-in. */
const notOurs: ReadonlySet<string> = new Set([
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
]);

/** @param error whatever openid-client threw; a `Failure` passes unchanged, and so does a defect of ours */
export function providerError(error: unknown, issuer: string): Error {
  if (isFailure(error)) return error;
  if (error instanceof TypeError && error.cause === undefined) return error; // those of `fetch` have a cause
  const provider = printable(issuer, 128);
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError)
    return refusal(error, provider);
  if (error instanceof WWWAuthenticateChallengeError) {
    const { error: word = 'unauthorized', error_description: description } = error.cause[0]?.parameters ?? {};
    return refusal({ error: word, error_description: description, cause: error }, provider);
  }
  const code = oauthCode(error);
  if (code === 'OAUTH_TIMEOUT') {
    return new LoginError('provider-unreachable', `${provider} does not answer in time`, {
      cause: error,
      advice: 'Try again later. Check the network and any proxy.',
    });
  }
  if (notOurs.has(code)) return foreignAnswer(error, provider);
  if (code !== '' && code !== 'OAUTH_ABORT') {
    return new LoginError(
      'provider-invalid',
      `${provider} answered with something that is not OpenID Connect (${code})`,
      {
        cause: error,
        advice: `Check the issuer of the provisioner: ${notOpenid}`,
      },
    );
  }
  return fromTransport(error, issuer);
}

/** Of openid-client, or of the library below it; '' for other errors. */
function oauthCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return '';
  return error.code.startsWith('OAUTH_') ? error.code : '';
}

/** An answer of another sign-in, or of another provider (RFC 9207). */
export function foreignAnswer(cause: unknown, provider: string): LoginError {
  return new LoginError(
    'answer-not-ours',
    `an answer came that is not ${provider}'s to this sign-in; it was thrown away`,
    {
      cause,
      advice:
        'Its issuer, nonce or time is another than asked for. Sign in again; if it comes again, the provider is set up wrongly or somebody interferes.',
    },
  );
}

interface ProviderRefusal {
  readonly error: string;
  readonly error_description?: string | undefined;
  readonly cause?: unknown;
}

function refusal(
  { error: code, error_description: description = '', cause }: ProviderRefusal,
  provider: string,
): LoginError {
  const words = description === '' ? '' : `: ${printable(description, MAX_WORDS)}`;
  return new LoginError('sign-in-refused', `${provider} refused (${printable(code, 64)})${words}`, {
    cause,
    advice: 'Sign in again. If it stays, its administrator checks the client and your account.',
  });
}

/** TLS and network, with the same words as for the CA where they fit. */
function fromTransport(error: unknown, issuer: string): LoginError {
  const { code, message } = transportError(error, printable(issuer, 128));
  if (code === 'ca-untrusted') {
    return new LoginError(
      'provider-untrusted',
      `${printable(issuer, 128)} shows a certificate that is not trusted here`,
      {
        cause: error,
        advice:
          'If the provider has a certificate of your organisation, name its root with --provider-ca FILE. Otherwise something in between intercepts TLS.',
      },
    );
  }
  return new LoginError(code === 'ca-reply-invalid' ? 'provider-invalid' : 'provider-unreachable', message, {
    cause: error,
    advice: 'Try again later. Check the network and any proxy.',
  });
}
