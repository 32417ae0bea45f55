/** Asks the CA which keys to trust (`GET /ssh/trust`). Does I/O; `trust-verdict.ts` decides. */
import { TrustReply } from '#protocol/trust.ts';
import type { Authority } from '../state/authority.ts';
import type { CaClient } from './ca-client.ts';
import { CaError } from './ca-error.ts';
import { statementError } from './statement-error.ts';
import { type AnnouncedTrust, judgeTrust, sameTrust } from './trust-verdict.ts';

export interface PulledTrust extends Pick<AnnouncedTrust, 'krl'> {
  /** What is to be trusted from now on: `held` itself when that is what is told. */
  readonly authority: Authority;
}

/**
 * @param now epoch seconds, by a clock that is believed
 * @returns undefined when this CA tells nobody
 * @throws CaError `statement-refused`, `statement-older`, `ca-keys-changed`, and those of requests
 */
export async function pullTrust(
  client: CaClient,
  held: Authority,
  now: () => bigint,
): Promise<PulledTrust | undefined> {
  const reply = await ask(client);
  if (reply === undefined) return undefined;
  const verdict = judgeTrust(reply, held, now());
  if (verdict.fault !== undefined) throw statementError('The list of keys to trust', verdict.fault, held.url);
  const { number, hostCaKeys, userCaKeys, krl } = verdict.trust;
  const isHeld = number === held.trustNumber && sameTrust(verdict.trust, held);
  return { krl, authority: isHeld ? held : { ...held, hostCaKeys, userCaKeys, trustNumber: number } };
}

async function ask(client: CaClient): Promise<TrustReply | undefined> {
  try {
    return await client.get('/ssh/trust', TrustReply);
  } catch (error) {
    if (error instanceof CaError && error.refusal?.status === 404) return undefined;
    throw error;
  }
}
