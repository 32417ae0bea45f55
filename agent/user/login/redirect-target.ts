/**
 * Where the browser comes back to (RFC 8252 section 7.3): redirect URIs of the CA's provisioner as listening addresses. Identity providers
 * differ in what they accept, so host, port and path are kept to the letter. Pure.
 */
import { LoginError } from './login-error.ts';

export interface RedirectTarget {
  /** As the provider knows it: `127.0.0.1`, `[::1]` or `localhost`. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** `/` where the URI has none; compared exactly. */
  readonly path: string;
  /** All of them, so that nobody else can sit at the other address that `localhost` may mean. */
  readonly addresses: readonly string[];
}

const addressesOf: Readonly<Record<string, readonly string[]>> = {
  '127.0.0.1': ['127.0.0.1'],
  '[::1]': ['::1'],
  localhost: ['127.0.0.1', '::1'],
};

/** @throws LoginError `provisioner-unusable` for anything that is not on loopback */
export function parseRedirectTarget(uri: string): RedirectTarget {
  const [, host = '', port = '80', path = ''] =
    /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(\d{1,5}))?(\/[!-"$->@-~]*)?$/.exec(uri) ?? [];
  const addresses = addressesOf[host];
  if (addresses === undefined || Number(port) > 65_535) {
    throw new LoginError(
      'provisioner-unusable',
      'the CA tells of a redirect URI that does not lead back to this machine',
      {
        advice: 'Its administrator corrects redirect_uris in the [[oidc]] section of ca.toml.',
      },
    );
  }
  return { host, port: Number(port), path: path === '' ? '/' : path, addresses };
}

/** The redirect URI with the port that was found. */
export function redirectUri({ host, path }: RedirectTarget, port: number): string {
  return `http://${host}${port === 80 ? '' : `:${port}`}${path}`;
}
