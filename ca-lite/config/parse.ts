/**
 * ca.toml to `Config`: all faults of a file are found and reported together, each with the key it is about.
 * Pure. What is missing gets its default here; the defaults allow nobody to enrol and nobody to log in.
 */
import { parse as parseToml, TomlError } from 'smol-toml';
import { Value } from 'typebox/value';
import { type KeyType, isKeyType } from '#openssh/key-type.ts';
import { CHALLENGE_MAX_LIFETIME_SECONDS } from '#protocol/host-challenge.ts';
import { SSHPOP_PROVISIONER } from '#protocol/renewal.ts';
import { type IpAddress, parseAddress } from '../address/address.ts';
import { type Cidr, parseCidr } from '../address/cidr.ts';
import { readOidcSection, readUserRenewal } from '../oidc/oidc-config.ts';
import type { OidcPolicy } from '../oidc/oidc-policy.ts';
import { type NamePattern, parseNamePattern } from '../policy/name-pattern.ts';
import { parseUserPattern } from '../policy/user-pattern.ts';
import type { CertificatePolicy, Config, EnrolmentPolicy, RenewalPolicy, SignerSettings } from './config.ts';
import { ADMIN_PROVISIONER, ENROLMENT_PROVISIONER } from '../token/one-time-token.ts';
import { parseDuration } from './duration.ts';
import { parseListenAddress } from './listen-address.ts';
import { ConfigText, signerSections } from './schema.ts';

export interface ConfigFault {
  /** As in the file: `enrolment.names[2]`. */
  readonly key: string;
  readonly message: string;
}

/** The file cannot be used; `faults` has everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config-invalid';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(({ key, message }) => (key === '' ? message : `${key}: ${message}`)).join('\n'));
    this.faults = faults;
  }
}

const defaultKeyTypes: KeyType[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];

/** @throws ConfigError */
export function parseConfig(text: string): Config {
  const raw = readToml(text);
  // A key that is unknown shows twice: `additionalProperties` says it better.
  const errors = Value.Errors(ConfigText, raw).filter((error) => error.keyword !== 'boolean');
  const reader = new ValueReader();
  const config = readConfig(withoutMisshapen(raw, errors), reader);
  const faults = [...errors.map(faultOfShape), ...reader.faults];
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** What is left to read when a shape is wrong: everything else, so that its faults are found at the same time. */
function withoutMisshapen(raw: unknown, errors: readonly { instancePath: string; keyword: string }[]): ConfigText {
  const left = structuredClone(raw) as Record<string, unknown>;
  for (const { instancePath, keyword } of errors) {
    const [section, member] = instancePath.split('/').slice(1);
    if (section === undefined || keyword === 'additionalProperties') continue;
    const table = left[section];
    if (member !== undefined && isTable(table)) delete table[member];
    else delete left[section];
  }
  return { ...left, name: left['name'] ?? '', dns_names: left['dns_names'] ?? [] } as ConfigText;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readToml(text: string): unknown {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new ConfigError([{ key: '', message: `line ${error.line}: not valid TOML` }]);
  }
}

function faultOfShape(error: { instancePath: string; message: string; keyword: string; params: object }): ConfigFault {
  const key = error.instancePath
    .slice(1)
    .replace(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
  const unknown = 'additionalProperties' in error.params ? error.params.additionalProperties : undefined;
  const message = Array.isArray(unknown)
    ? `unknown key ${unknown.map((name) => `"${String(name)}"`).join(', ')}`
    : error.message;
  return { key, message };
}

function readConfig(raw: ConfigText, reader: ValueReader): Config {
  return {
    name: raw.name,
    dnsNames: raw.dns_names.map((name, i) => reader.serverName(name.toLowerCase(), `dns_names[${i}]`)),
    listen: reader.parsed(
      raw.address ?? ':8443',
      'address',
      parseListenAddress,
      'expected HOST:PORT, [IPV6]:PORT or :PORT',
    ) ?? { host: undefined, port: 0 },
    store: { type: 'sqlite', path: raw.store?.path ?? 'db/countersign.sqlite' },
    signer: readSigner(raw.signer ?? {}, reader),
    certificates: readCertificates(raw.certificates ?? {}, reader),
    enrolment: readEnrolment(raw.enrolment ?? {}, reader),
    renewal: readRenewal(raw.renewal ?? {}, reader),
    oidc: readOidc(raw.oidc ?? [], reader),
    dialBack: {
      timeoutSeconds: reader.duration(raw.dial_back?.timeout ?? '10s', 'dial_back.timeout', 60),
      concurrent: raw.dial_back?.concurrent ?? 64,
      concurrentPerRequester: raw.dial_back?.concurrent_per_requester ?? 8,
      concurrentPerTarget: raw.dial_back?.concurrent_per_target ?? 4,
    },
    dns: {
      servers: (raw.dns?.servers ?? []).map((server, i) => reader.dnsServer(server, `dns.servers[${i}]`)),
      timeoutSeconds: reader.duration(raw.dns?.timeout ?? '5s', 'dns.timeout', 30),
    },
    log: { level: raw.log?.level ?? 'info' },
  };
}

function readCertificates(raw: NonNullable<ConfigText['certificates']>, reader: ValueReader): CertificatePolicy {
  const key = (name: string): string => `certificates.${name}`;
  const lifetime = (kind: 'host' | 'user', normal: string, max: string) => {
    const defaultSeconds = reader.duration(raw[`${kind}_lifetime`] ?? normal, key(`${kind}_lifetime`));
    const maxSeconds = reader.duration(raw[`${kind}_max_lifetime`] ?? max, key(`${kind}_max_lifetime`));
    if (defaultSeconds > maxSeconds) reader.fault(key(`${kind}_lifetime`), `longer than ${kind}_max_lifetime`);
    return { defaultSeconds, maxSeconds };
  };
  return {
    host: lifetime('host', '30d', '90d'),
    user: lifetime('user', '16h', '24h'),
    backdateSeconds: reader.duration(raw.backdate ?? '1m', key('backdate'), 86_400),
    keyTypes: new Set(
      (raw.key_types ?? defaultKeyTypes).flatMap((type, i) => reader.keyType(type, `${key('key_types')}[${i}]`)),
    ),
    minRsaBits: raw.min_rsa_bits ?? 3072,
    hostPrincipals: reader.patterns(raw.host_principals ?? [], key('host_principals')),
    userPrincipals: reader.userPatterns(raw.user_principals ?? [], key('user_principals')),
  };
}

function readEnrolment(raw: NonNullable<ConfigText['enrolment']>, reader: ValueReader): EnrolmentPolicy {
  const key = (name: string): string => `enrolment.${name}`;
  return {
    names: reader.patterns(raw.names ?? [], key('names')),
    addresses: (raw.addresses ?? []).flatMap((cidr, i) => reader.cidr(cidr, `${key('addresses')}[${i}]`)),
    ports: new Set(raw.ports ?? [22]),
    shortNames: raw.short_names ?? false,
    addressPrincipals: raw.address_principals ?? false,
    challengeSeconds: reader.duration(
      raw.challenge_lifetime ?? '2m',
      key('challenge_lifetime'),
      CHALLENGE_MAX_LIFETIME_SECONDS,
    ),
    tokenSeconds: reader.duration(raw.token_lifetime ?? '5m', key('token_lifetime'), 3600),
    ownAddresses: (raw.own_addresses ?? []).flatMap((address, i) =>
      reader.address(address, `${key('own_addresses')}[${i}]`),
    ),
    allowLoopback: raw.insecure_allow_loopback ?? false,
  };
}

function readRenewal(raw: NonNullable<ConfigText['renewal']>, reader: ValueReader): RenewalPolicy {
  return {
    allowAfterExpiry: raw.allow_after_expiry ?? false,
    maxAgeSeconds: raw.max_age === undefined ? undefined : reader.duration(raw.max_age, 'renewal.max_age'),
    requireDialBack: raw.require_dial_back ?? false,
    cloneGraceSeconds: reader.duration(raw.clone_grace ?? '5m', 'renewal.clone_grace', 86_400),
    healByDialBack: raw.heal_by_dial_back ?? false,
    users: readUserRenewal(raw.users_for, raw.users_times, 'renewal.users_for', (key, message) =>
      reader.fault(key, message),
    ),
    requireRekeyProof: raw.require_rekey_proof ?? false,
  };
}

function readSigner(section: NonNullable<ConfigText['signer']>, reader: ValueReader): SignerSettings {
  const { type = 'file' } = section;
  const faults = Value.Errors(signerSections[type], section).filter(({ keyword }) => keyword !== 'boolean');
  for (const error of faults) {
    const { key, message } = faultOfShape(error);
    reader.fault(key === '' ? 'signer' : `signer.${key}`, message);
  }
  return type === 'file' ? { type } : (section as SignerSettings);
}

/** A token names its issuer, an audit line its provisioner: each must mean one section. */
function readOidc(sections: NonNullable<ConfigText['oidc']>, reader: ValueReader): OidcPolicy[] {
  const taken = new Set<string>([ADMIN_PROVISIONER, ENROLMENT_PROVISIONER, SSHPOP_PROVISIONER]);
  return sections.map((section, i) => {
    for (const [key, value] of [
      ['name', section.name],
      ['issuer', section.issuer],
    ] as const) {
      if (taken.has(value)) reader.fault(`oidc[${i}].${key}`, 'used twice, or by the CA itself');
      taken.add(value);
    }
    return readOidcSection(section, (key, message) => reader.fault(`oidc[${i}].${key}`, message));
  });
}

/** Reads single values and collects what is wrong with them. */
class ValueReader {
  readonly faults: ConfigFault[] = [];

  fault(key: string, message: string): void {
    this.faults.push({ key, message });
  }

  parsed<T>(text: string, key: string, parse: (text: string) => T | undefined, expected: string): T | undefined {
    const value = parse(text);
    if (value === undefined) this.fault(key, expected);
    return value;
  }

  duration(text: string, key: string, maxSeconds = Number.POSITIVE_INFINITY): number {
    const seconds =
      this.parsed(text, key, parseDuration, 'expected a duration with units, such as 90s, 5m, 16h or 30d') ?? 0;
    if (seconds > maxSeconds) this.fault(key, `longer than the ${maxSeconds} seconds that are allowed here`);
    return seconds;
  }

  patterns(texts: readonly string[], key: string): NamePattern[] {
    const expected = 'expected a name in lower case, *.SUFFIX (one label) or **.SUFFIX (one or more labels)';
    return texts.flatMap((text, i) => this.parsed(text, `${key}[${i}]`, parseNamePattern, expected) ?? []);
  }

  userPatterns(texts: readonly string[], key: string): NamePattern[] {
    const expected = 'expected a login name in lower case, or * for all but system accounts';
    return texts.flatMap((text, i) => this.parsed(text, `${key}[${i}]`, parseUserPattern, expected) ?? []);
  }

  cidr(text: string, key: string): Cidr[] {
    const expected = 'expected an address range such as 10.0.0.0/8 or fd00::/8, without host bits';
    return [this.parsed(text, key, orUndefined(parseCidr), expected) ?? []].flat();
  }

  address(text: string, key: string): IpAddress[] {
    return [this.parsed(text, key, orUndefined(parseAddress), 'expected an IPv4 or IPv6 address') ?? []].flat();
  }

  keyType(text: string, key: string): KeyType[] {
    if (isKeyType(text)) return [text];
    this.fault(key, 'unknown key type');
    return [];
  }

  serverName(text: string, key: string): string {
    const isName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(text);
    if (!isName && orUndefined(parseAddress)(text) === undefined)
      this.fault(key, 'expected a host name or an IP address');
    return text;
  }

  /** As node:dns takes it: an address, with `:port` or `[v6]:port` when it is not 53. */
  dnsServer(text: string, key: string): string {
    const address =
      /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^(\d[\d.]*)(?::\d{1,5})?$/.exec(text)?.[1] ?? text;
    if (orUndefined(parseAddress)(address) === undefined)
      this.fault(key, 'expected an address, ADDRESS:PORT or [IPV6]:PORT');
    return text;
  }
}

function orUndefined<T>(parse: (text: string) => T): (text: string) => T | undefined {
  return (text) => {
    try {
      return parse(text);
    } catch {
      return undefined;
    }
  };
}
