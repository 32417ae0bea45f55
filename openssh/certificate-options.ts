/**
 * What the critical options and extensions of a user certificate mean (draft-ietf-sshm-cert; sshd's auth-options.c): a typed view
 * for reading, and makers for writing. Unknown ones are kept: whoever enforces a certificate must refuse unknown critical options.
 * Refused on purpose: known options with data that sshd calls corrupt, address lists that are not strict CIDR (sshd also takes
 * `10.1` for `10.0.0.1`; we do not), networks with host bits set. Host certificates have no options that anyone defines.
 */
import ipaddr from 'ipaddr.js';
import { type Certificate, type CertificateOption, flagOption, optionText, textOption } from './certificate.ts';
import { FormatError } from './format-error.ts';

export const FORCE_COMMAND = 'force-command';
export const SOURCE_ADDRESS = 'source-address';
export const VERIFY_REQUIRED = 'verify-required';
/** sshd takes the command as one string; Linux takes no longer argument. */
const MAX_FORCE_COMMAND_LENGTH = 32 * 1024;
/** A prefix length follows an address of at most 45 characters. */
const MAX_NETWORK_LENGTH = 49;
const MAX_NETWORKS = 256;

/** Extensions that sshd knows; all are flags. */
export const extensionNames = [
  'no-touch-required',
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const;
export type ExtensionName = (typeof extensionNames)[number];

/** What `ssh-keygen -s` grants when it is told nothing else. */
export const defaultExtensionNames: readonly ExtensionName[] = extensionNames.filter(
  (name) => name !== 'no-touch-required',
);

declare const networkListBrand: unique symbol;
/** Comma-separated CIDR networks and addresses, checked. */
export type NetworkList = string & { readonly [networkListBrand]: true };

export interface CertificateOptionsView {
  /** Runs instead of whatever the user asked for. */
  readonly forceCommand?: string;
  /** The client must come from one of these. */
  readonly sourceAddress?: NetworkList;
  /** Signatures of a security key must say that the user was verified (PIN or biometrics). */
  readonly verifyRequired: boolean;
  readonly extensions: ReadonlySet<ExtensionName>;
  readonly unknownCriticalOptions: readonly CertificateOption[];
  readonly unknownExtensions: readonly CertificateOption[];
}

/** @throws FormatError `bad-value` when a known option does not hold what it should */
export function viewCertificateOptions(
  certificate: Pick<Certificate, 'criticalOptions' | 'extensions'>,
): CertificateOptionsView {
  const { criticalOptions } = certificate;
  const find = (name: string): CertificateOption | undefined => criticalOptions.find((option) => option.name === name);
  const [command, addresses, verify] = [find(FORCE_COMMAND), find(SOURCE_ADDRESS), find(VERIFY_REQUIRED)];
  const known = [FORCE_COMMAND, SOURCE_ADDRESS, VERIFY_REQUIRED];
  return {
    ...(command === undefined ? {} : { forceCommand: textOf(command) }),
    ...(addresses === undefined ? {} : { sourceAddress: parseNetworkList(textOf(addresses)) }),
    verifyRequired: verify !== undefined && flagOf(verify),
    unknownCriticalOptions: criticalOptions.filter((option) => !known.includes(option.name)),
    ...viewExtensions(certificate.extensions),
  };
}

function viewExtensions(
  options: readonly CertificateOption[],
): Pick<CertificateOptionsView, 'extensions' | 'unknownExtensions'> {
  const extensions = new Set<ExtensionName>();
  const unknownExtensions: CertificateOption[] = [];
  for (const option of options) {
    const name = extensionNames.find((known) => known === option.name);
    if (name === undefined) unknownExtensions.push(option);
    else if (flagOf(option)) extensions.add(name);
  }
  return { extensions, unknownExtensions };
}

/** @throws TypeError for an empty or overlong command, or one with a NUL */
export function forceCommandOption(command: string): CertificateOption {
  if (command === '' || command.length > MAX_FORCE_COMMAND_LENGTH) throw new TypeError('an empty or overlong command');
  return textOption(FORCE_COMMAND, command);
}

export function sourceAddressOption(networks: NetworkList): CertificateOption {
  return textOption(SOURCE_ADDRESS, networks);
}

export function verifyRequiredOption(): CertificateOption {
  return flagOption(VERIFY_REQUIRED);
}

export function extensionFlags(names: Iterable<ExtensionName>): CertificateOption[] {
  return [...new Set(names)].map((name) => flagOption(name));
}

/** Checks a comma-separated list of addresses and CIDR networks. @throws FormatError `bad-value`, `too-large` */
export function parseNetworkList(text: string): NetworkList {
  if (text.length > MAX_NETWORKS * (MAX_NETWORK_LENGTH + 1)) throw tooMany();
  const entries = text.split(',');
  if (entries.length > MAX_NETWORKS) throw tooMany();
  entries.forEach(parseNetwork);
  return text as NetworkList;
}

/** True if `address` (IPv4, IPv6, or IPv4 mapped into IPv6) lies in one of the networks, as sshd decides it. */
export function isAddressListed(networks: NetworkList, address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const client = ipaddr.process(address);
  return networks
    .split(',')
    .map(parseNetwork)
    .some(([network, bits]) => network.kind() === client.kind() && client.match(network, bits));
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseNetwork(entry: string): Network {
  const [, text = '', bits] = /^([0-9A-Fa-f.:]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(entry) ?? [];
  if (entry.length > MAX_NETWORK_LENGTH) throw badNetwork();
  const address = parseAddress(text);
  const width = address.kind() === 'ipv4' ? 32 : 128;
  const prefixLength = bits === undefined ? width : Number(bits);
  if (prefixLength > width || !isNetworkAddress(address, prefixLength)) throw badNetwork();
  return [address, prefixLength];
}

function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (text.includes(':') && ipaddr.IPv6.isValid(text)) return ipaddr.IPv6.parse(text);
  throw badNetwork();
}

/** No bit set behind the prefix; sshd calls such an entry inconsistent. */
function isNetworkAddress(address: ipaddr.IPv4 | ipaddr.IPv6, prefixLength: number): boolean {
  return address.toByteArray().every((byte, index) => {
    const bitsInByte = Math.min(Math.max(prefixLength - 8 * index, 0), 8);
    return (byte & (0xff >> bitsInByte)) === 0;
  });
}

function textOf(option: CertificateOption): string {
  const text = optionText(option);
  if (text === undefined) throw new FormatError('bad-value', 'a certificate option does not hold exactly one text');
  return text;
}

function flagOf(option: CertificateOption): true {
  if (option.data.length > 0) throw new FormatError('bad-value', 'a certificate flag holds data');
  return true;
}

function tooMany(): FormatError {
  return new FormatError('too-large', `a list of more than ${MAX_NETWORKS} networks`);
}

function badNetwork(): FormatError {
  return new FormatError(
    'bad-value',
    'not a list of addresses and CIDR networks without host bits, separated by commas',
  );
}
