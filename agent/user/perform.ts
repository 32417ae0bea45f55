/** Does what a decision asked for, until there is a reply: signing elsewhere, asking, waiting, other agents. */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeSignatureReply } from '#openssh/agent-reply.ts';
import type { AgentState, ConnectionState } from './agent-state.ts';
import type { QuestionSubject } from './confirmation-queue.ts';
import type { ConfirmationDesk } from './confirmation-desk.ts';
import type { Clock } from './moment.ts';
import { type Effect, type Outcome, failure } from './outcome.ts';
import { programOf } from './peer-program.ts';
import { signWithSecurityKey } from './security-key-helper.ts';
import { signLater } from './sign-with-identity.ts';
import type { UpstreamSession } from './upstream-agents.ts';

/** How long a listing waits for a sign-in. */
export const PROVIDE_TIMEOUT_MS = 120_000;

export interface Performing {
  readonly agent: AgentState;
  readonly connection: ConnectionState;
  readonly clock: Clock;
  readonly desk: ConfirmationDesk;
  readonly upstreams: UpstreamSession;
  /** Fires when the client is gone. */
  readonly signal: AbortSignal;
}

/** Never rejects: what goes wrong is a failure reply. @param report told of every fault that is not the client's */
export async function perform(
  outcome: Outcome,
  context: Performing,
  report: (error: unknown) => void,
): Promise<Uint8Array> {
  try {
    let next = outcome;
    while (!(next instanceof Uint8Array)) next = await step(next, context);
    return next;
  } catch (error) {
    if (!context.signal.aborted) report(error);
    return failure;
  }
}

async function step(effect: Effect, context: Performing): Promise<Outcome> {
  const { clock, signal } = context;
  switch (effect.effect) {
    case 'sign':
      return sign(effect, signal);
    case 'ask':
      return (await context.desk.ask(withProgram(effect.subject, context), signal)) === 'allowed'
        ? effect.allowed(clock())
        : failure;
    case 'wait':
      await sleep(Math.max(0, effect.untilMonotonicMs - clock().monotonicMs), undefined, { signal });
      return effect.again(clock());
    case 'provide':
      await provide(context);
      return effect.again(clock());
    case 'list-upstreams':
      return effect.reply(await context.upstreams.list());
    case 'sign-upstream':
      return signUpstream(effect, context);
  }
}

async function sign(
  { identity, algorithm, data, signed }: Extract<Effect, { effect: 'sign' }>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { signer } = identity;
  const signature =
    signer.kind === 'software'
      ? await signLater(signer.privateKey, algorithm, data)
      : await signWithSecurityKey(signer, data, signal);
  signed();
  return encodeSignatureReply(signature);
}

async function signUpstream(
  { keyBlob, message, signed }: Extract<Effect, { effect: 'sign-upstream' }>,
  { upstreams }: Performing,
): Promise<Uint8Array> {
  const reply = await upstreams.sign(keyBlob, message);
  if (reply === undefined) return failure;
  signed();
  return reply;
}

/** A sign-in that fails or takes too long leaves the listing as it is. */
async function provide({ agent, connection, signal }: Performing): Promise<void> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)]);
  await agent.source?.provide(agent.store, connection.bindings, bounded).catch(() => undefined);
}

function withProgram(subject: QuestionSubject, { connection }: Performing): QuestionSubject {
  const program = connection.peer === undefined ? undefined : programOf(connection.peer.pid);
  return program === undefined ? subject : { ...subject, program };
}
