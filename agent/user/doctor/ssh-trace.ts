/**
 * What happened in one run of `ssh -v`, read from what it printed (OpenSSH 8.5 and later, in English). The lines also hold what the host says:
 * nothing of their text leaves here but fingerprints of keys. Pure. Whether ssh got in says its exit status, never a line.
 */
import type { Fingerprint } from '#openssh/fingerprint.ts';

/** Why ssh did not get as far as the host's key. */
export type Unreached = 'name-unknown' | 'refused' | 'timed-out' | 'no-route' | 'hung-up' | 'no-algorithm';

/** Why ssh did not believe the host. */
export type HostFault = 'expired' | 'not-yet-valid' | 'name-not-listed' | 'revoked' | 'changed' | 'unknown';

export interface SshTrace {
  readonly unreached: Unreached | undefined;
  /** The CA of the certificate that the host showed; undefined where it showed none. */
  readonly hostCa: Fingerprint | undefined;
  readonly hostFault: HostFault | undefined;
  /** Keys of the certificates that were shown to the host; a fingerprint is the one of the key in it. */
  readonly offered: ReadonlySet<Fingerprint>;
  /** The one that the host took. */
  readonly accepted: Fingerprint | undefined;
  /** Names of algorithms whose keys ssh left out, since PubkeyAcceptedAlgorithms does not have them. */
  readonly dropped: ReadonlySet<string>;
  /** The agent took part and did not sign. */
  readonly signingFailed: boolean;
  readonly tooManyFailures: boolean;
  readonly denied: boolean;
}

const unreachedSigns: readonly (readonly [RegExp, Unreached])[] = [
  [/^ssh: Could not resolve hostname /, 'name-unknown'],
  [/^ssh: connect to host .*: Connection refused$/, 'refused'],
  [/^ssh: connect to host .*: (Connection|Operation) timed out$/, 'timed-out'],
  [/^Connection timed out during banner exchange$/, 'timed-out'],
  [/^ssh: connect to host .*: (No route to host|Network is unreachable)$/, 'no-route'],
  [/^Unable to negotiate with /, 'no-algorithm'],
  [/^(kex_exchange_identification|banner exchange|ssh_exchange_identification): /, 'hung-up'],
];

/** The first that is there counts: ssh says the reason before what comes of it. */
const hostSigns: readonly (readonly [RegExp, HostFault])[] = [
  [/REVOKED HOST KEY DETECTED|host key .* (was|is marked as) revoked|revoked by file|marked as revoked/i, 'revoked'],
  [/^Certificate invalid: expired$/, 'expired'],
  [/^Certificate invalid: not yet valid$/, 'not-yet-valid'],
  [/^Certificate invalid: name is not a listed principal$/, 'name-not-listed'],
  [/REMOTE HOST IDENTIFICATION HAS CHANGED/, 'changed'],
  [/^Host key verification failed\.$/, 'unknown'],
];

const KEY = /(SHA256:[A-Za-z0-9+/]{43})(?: [a-z ]+)?$/;

export function parseSshTrace(printed: string): SshTrace {
  const lines = printed.split(/\r?\n/);
  const after = (beginning: RegExp): string[] => lines.filter((line) => beginning.test(line));
  const certificates = after(/^debug1: Offering public key: .*-CERT SHA256:/).flatMap((line) => fingerprintIn(line));
  const [accepted] = after(/^debug1: Server accepts key: .*-CERT SHA256:/).flatMap((line) => fingerprintIn(line));
  return {
    unreached: firstSign(lines, unreachedSigns),
    hostCa: hostCaIn(after(/^debug1: Server host certificate: /)[0]),
    hostFault: firstSign(lines, hostSigns),
    offered: new Set(certificates),
    accepted,
    dropped: new Set(lines.flatMap((line) => droppedIn(line))),
    signingFailed: after(/^sign_and_send_pubkey: signing failed /).length > 0,
    tooManyFailures:
      after(/^(Received disconnect from |Disconnected from ).*Too many authentication failures/).length > 0,
    denied: after(/: Permission denied \([a-z,@.-]+\)\.$/).length > 0,
  };
}

function firstSign<T>(lines: readonly string[], signs: readonly (readonly [RegExp, T])[]): T | undefined {
  return signs.find(([sign]) => lines.some((line) => sign.test(line)))?.[1];
}

function fingerprintIn(line: string): Fingerprint[] {
  const [, found] = KEY.exec(line) ?? [];
  return found === undefined ? [] : [found as Fingerprint];
}

function hostCaIn(line = ''): Fingerprint | undefined {
  // the last one: the key ID before it may hold anything
  const [, found] = /.* CA [\w@.-]+ (SHA256:[A-Za-z0-9+/]{43}) valid /.exec(line) ?? [];
  return found as Fingerprint | undefined;
}

function droppedIn(line: string): string[] {
  const [, algorithm] =
    /^debug1: Skipping ([\w@.-]+) key .* - corresponding algo(?:rithm)? not in PubkeyAccepted/.exec(line) ?? [];
  return algorithm === undefined ? [] : [algorithm];
}
