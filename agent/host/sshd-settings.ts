/**
 * The effective configuration of an sshd, as `sshd -T` prints it: one `keyword value` a line, keywords in lower case, repeated
 * for lists. Pure. Only what enrolment needs is read; `none` means unset.
 */

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface SshdSettings {
  /** Those that sshd listens on, each once. Not the `port` lines: `ListenAddress` with a port of its own passes them by. */
  readonly ports: readonly number[];
  /** In the order of the configuration; wildcards as `0.0.0.0` and `::`. */
  readonly endpoints: readonly Endpoint[];
  /** Paths of private keys, or of public keys whose private half a HostKeyAgent holds. */
  readonly hostKeys: readonly string[];
  readonly hostCertificates: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
  /** Path of a socket, or the word `SSH_AUTH_SOCK`. */
  readonly hostKeyAgent: string | undefined;
  readonly trustedUserCaKeys: string | undefined;
  readonly revokedKeys: string | undefined;
  readonly pidFile: string | undefined;
}

export function parseSshdSettings(text: string): SshdSettings {
  const values = collectValues(text);
  const all = (keyword: string): readonly string[] => values.get(keyword) ?? [];
  const one = (keyword: string): string | undefined => all(keyword).find((value) => value !== 'none');
  const endpoints = all('listenaddress').flatMap(parseEndpoint);
  return {
    ports: [...new Set(endpoints.map(({ port }) => port))],
    endpoints,
    hostKeys: all('hostkey').filter((path) => path !== 'none'),
    hostCertificates: all('hostcertificate').filter((path) => path !== 'none'),
    hostKeyAlgorithms: (one('hostkeyalgorithms') ?? '').split(',').filter((name) => name !== ''),
    hostKeyAgent: one('hostkeyagent'),
    trustedUserCaKeys: one('trustedusercakeys'),
    revokedKeys: one('revokedkeys'),
    pidFile: one('pidfile'),
  };
}

function collectValues(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, keyword, value] = /^([A-Za-z]+) (.*\S)\s*$/.exec(line) ?? [];
    if (keyword === undefined || value === undefined) continue;
    const key = keyword.toLowerCase();
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

/** `0.0.0.0:22`, `[::]:22`, either with ` rdomain NAME` behind it. */
function parseEndpoint(value: string): Endpoint[] {
  const [, v6, v4, digits] = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([0-9.]+)):(\d{1,5})(?: |$)/.exec(value) ?? [];
  const address = v6 ?? v4;
  const port = Number(digits);
  return address !== undefined && isPort(port) ? [{ address, port }] : [];
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Whether sshd listens on `address` at all. */
export function listensOn(settings: SshdSettings, address: string): boolean {
  const wildcard = address.includes(':') ? '::' : '0.0.0.0';
  return settings.endpoints.some((endpoint) => endpoint.address === address || endpoint.address === wildcard);
}

/** Where a connection from this machine to itself can go: wildcards become loopback. Each once, IPv4 first. */
export function localEndpoints(settings: SshdSettings): Endpoint[] {
  const reachable = settings.endpoints.map(({ address, port }) => ({ address: localAddress(address), port }));
  const unique = new Map(reachable.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint]));
  return [...unique.values()].toSorted((a, b) => Number(a.address.includes(':')) - Number(b.address.includes(':')));
}

function localAddress(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}
