/**
 * Whether a challenge may be answered (docs/enrolment-protocol.md, step 3): signed by a challenge key under the trusted host CA,
 * and saying exactly what this host asked for. The host key signs nothing else. Pure.
 */
import ipaddr from 'ipaddr.js';
import { Value } from 'typebox/value';
import { decodeBase64 } from '#openssh/base64.ts';
import { findCertificateFault } from '#openssh/certificate-check.ts';
import { type Certificate, optionText } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type Sshsig, decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import {
  CHALLENGE_MAX_LIFETIME_SECONDS,
  CHALLENGE_NAMESPACE,
  CHALLENGE_PRINCIPAL,
  ChallengePayload,
  type ChallengeReply,
} from '#protocol/host-challenge.ts';

export interface AskedFor {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly port: number;
  readonly fingerprint: Fingerprint;
}

export type ChallengeFault =
  | 'malformed'
  | 'signer-untrusted' // no certificate of the trusted host CA, or not that of a challenge key
  | 'signer-not-valid-now'
  | 'signature-invalid'
  | 'payload-malformed'
  | 'payload-differs' // names, addresses, port or key are not the ones that were asked for
  | 'not-valid-now';

/** How far the CA's clock may be ahead of ours. */
const CLOCK_TOLERANCE_SECONDS = 60;

/** The first fault, or undefined for a challenge that the host key may answer. @param now epoch seconds */
export function findChallengeFault(
  reply: ChallengeReply,
  asked: AskedFor,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): ChallengeFault | undefined {
  const decoded = decodeReply(reply);
  if (decoded === undefined) return 'malformed';
  const { bytes, sshsig } = decoded;
  const signerFault = findSignerFault(sshsig.certificate, trustedCas, now);
  if (signerFault !== undefined) return signerFault;
  if (!verifySshsig(sshsig, bytes, CHALLENGE_NAMESPACE)) return 'signature-invalid';
  const payload = parsePayload(bytes);
  if (payload === undefined) return 'payload-malformed';
  return saysWhatWasAsked(payload, asked) ? findTimeFault(payload, Number(now)) : 'payload-differs';
}

function decodeReply({ payload, signature }: ChallengeReply): { bytes: Uint8Array; sshsig: Sshsig } | undefined {
  try {
    return { bytes: decodeBase64(payload), sshsig: decodeSshsig(decodeBase64(signature)) };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** A user certificate, since `ssh-keygen -Y verify` takes no other; inert for login: one odd principal and a forced command. */
function findSignerFault(
  certificate: Certificate | undefined,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): 'signer-untrusted' | 'signer-not-valid-now' | undefined {
  if (certificate === undefined || certificate.principals.length !== 1) return 'signer-untrusted';
  const forced = certificate.criticalOptions.find((option) => option.name === 'force-command');
  if (forced === undefined || optionText(forced) !== '/bin/false') return 'signer-untrusted';
  const fault = findCertificateFault(certificate, {
    type: 'user',
    now,
    trustedCas,
    principal: CHALLENGE_PRINCIPAL,
    enforcedOptions: new Set(['force-command']),
  });
  if (fault === 'expired' || fault === 'not-yet-valid') return 'signer-not-valid-now';
  return fault === undefined ? undefined : 'signer-untrusted';
}

function parsePayload(bytes: Uint8Array): ChallengePayload | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return Value.Check(ChallengePayload, value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function saysWhatWasAsked(payload: ChallengePayload, asked: AskedFor): boolean {
  return (
    payload.fingerprint === asked.fingerprint &&
    payload.port === asked.port &&
    sameSet(payload.names, asked.names) &&
    sameSet(payload.addresses.map(canonicalAddress), asked.addresses.map(canonicalAddress))
  );
}

function findTimeFault({ issuedAt, expiresAt }: ChallengePayload, now: number): ChallengeFault | undefined {
  if (expiresAt - issuedAt > CHALLENGE_MAX_LIFETIME_SECONDS) return 'payload-malformed';
  return issuedAt > now + CLOCK_TOLERANCE_SECONDS || expiresAt <= now ? 'not-valid-now' : undefined;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && left.isSubsetOf(right);
}

/** One text for each address; text that is none stays as it is and equals nothing else. */
function canonicalAddress(text: string): string {
  return ipaddr.isValid(text) ? ipaddr.process(text).toString() : text;
}
