/**
 * Tells the CA at once what an enrolment installed, as a pass does after a renewal (`renewal-pass.ts`). Whatever stands in the way is no
 * failure of the enrolment: nothing is noted then, and the next pass reports. To be called with the lock held, once the certificates are
 * served. Does I/O.
 */
import { openCaClient, trusted } from '../../ca/ca-client.ts';
import type { CaConnections } from '../../ca/ca-connections.ts';
import { CaError } from '../../ca/ca-error.ts';
import type { Clock } from '../../clock/clock.ts';
import { type Failure, isFailure } from '../../failure.ts';
import type { Authority } from '../../state/authority.ts';
import { claimsOf, readStanding } from '../following/standing.ts';
import type { HostRecord } from '../host-record.ts';
import type { EnrolledKey } from '../install-site.ts';
import { CaConversation } from './ca-conversation.ts';
import { afterReport, nothingYet, readRenewalRecord, writeRenewalRecord } from './renewal-record.ts';

/** The enrolment is done: nobody waits for a CA that hangs or asks for patience. */
const PATIENCE_MS = 10_000;

export interface FirstReport {
  readonly stateDirectory: string;
  readonly authority: Authority;
  readonly record: HostRecord;
  readonly enrolled: readonly EnrolledKey[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Those over which the certificates came. */
  readonly connections: CaConnections;
}

/** @returns why the CA does not know yet; undefined: it does @throws StateError */
export async function reportEnrolled(report: FirstReport): Promise<Failure | undefined> {
  const { authority, clock, connections } = report;
  using patience = limitPatience(report);
  await using client = openCaClient({ ...trusted(authority, clock), signal: patience.signal, connections });
  try {
    await reportAll(report, new CaConversation(client, authority));
    return undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return error;
  }
}

async function reportAll(report: FirstReport, conversation: CaConversation): Promise<void> {
  const { stateDirectory, authority, record, enrolled } = report;
  const standing = await readStanding(stateDirectory, authority, record);
  const claims = claimsOf(standing);
  const memories = new Map(await readRenewalRecord(stateDirectory));
  for (const holding of enrolled) {
    const { fingerprint } = holding.key;
    const memory = memories.get(fingerprint) ?? nothingYet;
    const serial = String(holding.certificate.serial);
    if (memory.reported?.serial === serial && memory.reported.claims === claims) continue;
    const { renewNow } = await conversation.report(holding, standing);
    const reported = { serial, at: Number(conversation.now()), claims };
    memories.set(fingerprint, afterReport(memory, reported, renewNow));
    await writeRenewalRecord(stateDirectory, memories);
  }
}

/** The signal of the command, which also ends after a while. */
function limitPatience({ signal, authority }: FirstReport): Disposable & { readonly signal: AbortSignal } {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(impatience(authority)), PATIENCE_MS);
  return { signal: AbortSignal.any([signal, ending.signal]), [Symbol.dispose]: () => clearTimeout(timer) };
}

function impatience({ url }: Authority): CaError {
  return new CaError('ca-timeout', `${url} did not take the report within ${PATIENCE_MS / 1000} s`);
}
