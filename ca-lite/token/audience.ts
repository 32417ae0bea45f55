/** Which `aud` values mean this CA (step-wire 2.1): any of its names, any port, with and without `/1.0`. */

/** @param operation the path without a leading slash, e.g. `ssh/sign` */
export function isOwnAudience(audience: string, dnsNames: readonly string[], operation: string): boolean {
  const url = URL.parse(audience);
  if (url === null) return false;
  const { protocol, hostname, pathname, search, hash, username, password } = url;
  if (protocol !== 'https:' || search !== '' || hash !== '' || username !== '' || password !== '') return false;
  if (pathname !== `/${operation}` && pathname !== `/1.0/${operation}`) return false;
  return dnsNames.includes(hostname.replace(/^\[(.*)\]$/, '$1'));
}

/** The form that the step CLI writes. */
export function ownAudience(authority: string, operation: string): string {
  return `https://${authority}/1.0/${operation}`;
}
