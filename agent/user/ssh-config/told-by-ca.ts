/**
 * What the CA says that concerns ssh on this machine: host CA keys to trust, and what is revoked. Signed, and not older than what is here.
 * A CA that is out of reach, or offers no such thing, leaves what is here. Does I/O.
 */
import { decodeKrl, MAX_KRL_LENGTH } from '#openssh/krl.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type CaClientOptions, openCaClient, trusted } from '../../ca/ca-client.ts';
import { CaError } from '../../ca/ca-error.ts';
import { pullKrl } from '../../ca/pull-krl.ts';
import { type PulledTrust, pullTrust } from '../../ca/pull-trust.ts';
import { retryByCaTime } from '../../ca/time-retry.ts';
import type { Clock } from '../../clock/clock.ts';
import { isTransportCode } from '../../ca/transport-error.ts';
import type { Authority } from '../../state/authority.ts';

export interface Told {
  /** As it is to be trusted from now on. Nothing is stored here. */
  readonly authority: Authority;
  /** The KRL to use; undefined when there is none. */
  readonly krl: Uint8Array | undefined;
  /** False when the CA was out of reach. */
  readonly reached: boolean;
  /** Why something stays as it was. */
  readonly remarks: readonly string[];
}

export interface Held {
  readonly authority: Authority;
  /** The KRL that is in use. */
  readonly krl: Uint8Array | undefined;
}

/** @throws CaError for statements that are refused, and the reason of an abort */
export async function askCa(
  held: Held,
  clock: Clock,
  options: Pick<CaClientOptions, 'signal' | 'onWait'>,
): Promise<Told> {
  const krl = readableOrNone(held.krl);
  try {
    await using client = openCaClient({ ...trusted(held.authority, clock), ...options, maxBodyBytes: MAX_KRL_LENGTH });
    const now = () => clock.now();
    const pulled = await retryByCaTime(client, async () => pullTrust(client, held.authority, now));
    if (pulled === undefined) return { authority: held.authority, krl, reached: true, remarks: [] };
    const question = questionFor(pulled, held.authority, krl);
    const news = question === undefined ? undefined : await pullKrl(client, pulled.authority, question, now);
    return { authority: pulled.authority, krl: news?.bytes ?? krl, reached: true, remarks: [] };
  } catch (error) {
    if (!(error instanceof CaError) || !isTransportCode(error.code)) throw error;
    return {
      authority: held.authority,
      krl,
      reached: false,
      remarks: [`the CA keys and revocations of before are used: ${error.message}`],
    };
  }
}

/** ssh believes no host while the file cannot be read, so a damaged one is as good as none. */
function readableOrNone(krl: Uint8Array | undefined): Uint8Array | undefined {
  return krl === undefined || numberOf(krl) === undefined ? undefined : krl;
}

function numberOf(krl: Uint8Array): bigint | undefined {
  try {
    return decodeKrl(krl).number;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Undefined when the KRL of now is here. After a first contact that was repeated, the CA is taken as it is. */
function questionFor({ krl: { number, path } }: PulledTrust, { trustNumber }: Authority, krl: Uint8Array | undefined) {
  const held = krl === undefined ? undefined : numberOf(krl);
  if (held === number) return undefined;
  return { path, heldNumber: trustNumber === undefined ? undefined : held, heldEtag: undefined };
}
