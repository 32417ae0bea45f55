/** One certificate for each key of the plan, with progress. A key that the CA does not certify does not stop the others. */
import { type CaClient, openCaClient, trusted } from '../ca/ca-client.ts';
import type { CaConnections } from '../ca/ca-connections.ts';
import { CaError } from '../ca/ca-error.ts';
import { type EnrolmentPlan, obtainCertificate } from '../host/enrol-host.ts';
import type { HostContext } from '../host/host-context.ts';
import type { HostKey } from '../host/host-key.ts';
import type { EnrolledKey } from '../host/install-site.ts';
import type { Clock } from '../clock/clock.ts';
import { rememberClock } from '../clock/clock-record.ts';
import type { Authority } from '../state/authority.ts';
import { describeJudgement } from './clock-text.ts';
import type { Progress } from './progress.ts';

export interface Obtained {
  /** At least one. */
  readonly enrolled: readonly EnrolledKey[];
  readonly remarks: readonly string[];
}

export interface Asking {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** To the CA, for all questions of the command. */
  readonly connections: CaConnections;
}

/** The CA's codes for a key that it will never certify, whatever host has it. */
const keyRefusals: ReadonlySet<string> = new Set(['key-not-supported', 'key-not-allowed']);

/** @throws CaError when no key is certified, or for any other refusal */
export async function obtainAll(
  context: HostContext,
  authority: Authority,
  plan: EnrolmentPlan,
  progress: Progress,
  { clock, signal, connections }: Asking,
): Promise<Obtained> {
  const onWait = (seconds: number) => progress.note(`the CA is busy and asked to wait ${seconds} s`);
  await using client = openCaClient({ ...trusted(authority, clock), signal, onWait, connections });
  const enrolled: EnrolledKey[] = [];
  const refused: CaError[] = [];
  for (const key of plan.keys) {
    const outcome = await obtainOne(context, authority, plan, progress, key, client);
    if (outcome instanceof CaError) refused.push(outcome);
    else enrolled.push(outcome);
  }
  await rememberClock(context.stateDirectory, clock);
  const { kind } = clock.judge();
  if (kind !== 'system') progress.note(describeJudgement(clock.judge()));
  if (enrolled.length === 0 && refused[0] !== undefined) throw refused[0];
  if (enrolled.some(({ reused }) => reused)) progress.note('a certificate of an earlier enrolment is used again');
  const remarks = refused.map(({ message }) => `one key was left out: ${message}`);
  for (const remark of remarks) progress.note(remark);
  return { enrolled, remarks };
}

async function obtainOne(
  context: HostContext,
  authority: Authority,
  plan: EnrolmentPlan,
  progress: Progress,
  key: HostKey,
  client: CaClient,
): Promise<EnrolledKey | CaError> {
  const text = `Asking the CA, which connects back and looks for ${key.path}`;
  try {
    return await progress.run(text, async () => obtainCertificate(context, authority, plan, key, client));
  } catch (error) {
    if (error instanceof CaError && keyRefusals.has(error.refusal?.code ?? '')) return error;
    throw error;
  }
}
