/**
 * Whether a trust document (`GET /ssh/trust`, protocol/trust.ts) is taken over, and which CA keys it leaves trusted. Pure.
 * Refused on purpose: a smaller number than the last one that was taken, the same number for other keys, one key for hosts and for users.
 */
import { Value } from 'typebox/value';
import { decodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, decodePublicKey } from '#openssh/public-key.ts';
import { TRUST_NAMESPACE, TrustDocument, type TrustReply, type TrustedCaKey } from '#protocol/trust.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { type StatementFault, findStatementFault } from './statement-check.ts';

export type TrustFault =
  | StatementFault
  | 'payload-malformed'
  | 'keys-unusable' // of a kind that is not known here, listed twice, or one for hosts and users
  | 'older'
  | 'number-reused'; // the number of the document that was taken, with other keys

export interface AnnouncedTrust {
  readonly number: number;
  /** The one that signs first, then the next and the old ones. */
  readonly hostCaKeys: readonly PublicKey[];
  readonly userCaKeys: readonly PublicKey[];
  readonly krl: { readonly number: bigint; readonly path: string };
}

export type TrustVerdict =
  { readonly fault: TrustFault } | { readonly fault?: undefined; readonly trust: AnnouncedTrust };

/** @param held what is trusted so far @param now epoch seconds, by a clock that is believed */
export function judgeTrust(reply: TrustReply, held: Authority, now: bigint): TrustVerdict {
  const statement = decodeReply(reply);
  if (statement === undefined) return { fault: 'unsigned' };
  const fault = findStatementFault({ ...statement, namespace: TRUST_NAMESPACE }, fingerprintsOf(held.hostCaKeys), now);
  if (fault !== undefined) return { fault };
  const document = parseDocument(statement.bytes);
  if (document === undefined) return { fault: 'payload-malformed' };
  const trust = readTrust(document);
  if (trust === undefined) return { fault: 'keys-unusable' };
  return judgeNumber(trust, held);
}

function judgeNumber(trust: AnnouncedTrust, held: Authority): TrustVerdict {
  const last = held.trustNumber ?? 0;
  if (trust.number < last) return { fault: 'older' };
  if (trust.number === last && !sameTrust(trust, held)) return { fault: 'number-reused' };
  return { trust };
}

type KeyLists = Pick<Authority, 'hostCaKeys' | 'userCaKeys'>;

/** In whatever order. */
export function sameTrust(a: KeyLists, b: KeyLists): boolean {
  return sameKeys(a.hostCaKeys, b.hostCaKeys) && sameKeys(a.userCaKeys, b.userCaKeys);
}

function sameKeys(a: readonly PublicKey[], b: readonly PublicKey[]): boolean {
  return fingerprintsOf(a).symmetricDifference(fingerprintsOf(b)).size === 0;
}

function decodeReply({ payload, signatures }: TrustReply): { bytes: Uint8Array; signatures: Uint8Array[] } | undefined {
  try {
    return { bytes: decodeBase64(payload), signatures: signatures.map((text) => decodeBase64(text)) };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function parseDocument(bytes: Uint8Array): TrustDocument | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return Value.Check(TrustDocument, value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function readTrust({ number, hostCas, userCas, krl }: TrustDocument): AnnouncedTrust | undefined {
  const [hostCaKeys, userCaKeys] = [readKeys(hostCas), readKeys(userCas)];
  if (hostCaKeys === undefined || userCaKeys === undefined) return undefined;
  // One key for both would make every host a user, and the certificate of a statement key a login.
  if (!fingerprintsOf(hostCaKeys).isDisjointFrom(fingerprintsOf(userCaKeys))) return undefined;
  return { number, hostCaKeys, userCaKeys, krl: { number: BigInt(krl.number), path: krl.path } };
}

function readKeys(listed: readonly TrustedCaKey[]): PublicKey[] | undefined {
  if (listed[0]?.state !== 'current' || listed.filter(({ state }) => state === 'current').length !== 1)
    return undefined;
  const keys = listed.map(readKey);
  if (!keys.every((key) => key !== undefined)) return undefined;
  return fingerprintsOf(keys).size === keys.length ? keys : undefined;
}

/** Undefined for a key that cannot be used, or that is not the one its fingerprint says. */
function readKey({ key, fingerprint }: TrustedCaKey): PublicKey | undefined {
  try {
    const blob = decodeBase64(key);
    return fingerprintOf(blob) === fingerprint ? decodePublicKey(blob) : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
