/** An agent without sockets, and clients that send it whole messages. */
import { randomBytes } from 'node:crypto';
import type { KeyConstraints } from '#openssh/agent-constraint.ts';
import type { DestinationConstraint } from '#openssh/agent-destination.ts';
import { extensionNames } from '#openssh/agent-number.ts';
import { type AgentReply, decodeAgentReply } from '#openssh/agent-reply.ts';
import {
  encodeAddRequest,
  encodeExtensionRequest,
  encodeListRequest,
  encodeSignRequest,
} from '#openssh/agent-request.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { WireWriter } from '#openssh/wire.ts';
import { AgentLock } from '#agent/user/agent-lock.ts';
import type { AgentState, ConnectionState } from '#agent/user/agent-state.ts';
import { IdentityChoice } from '#agent/user/identity-choice.ts';
import { IdentityStore } from '#agent/user/identity-store.ts';
import type { Moment } from '#agent/user/moment.ts';
import type { Effect, Outcome } from '#agent/user/outcome.ts';
import { handleRequest } from '#agent/user/request-handler.ts';
import { SessionBindings } from '#agent/user/session-bindings.ts';
import { SAMPLE_NOW, type SampleKey, fieldsOf } from '../../openssh/agent-samples.ts';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function moment(seconds = 0): Moment {
  return { monotonicMs: 5_000_000 + seconds * 1000, epochMs: Number(SAMPLE_NOW) * 1000 + seconds * 1000 };
}

export function makeAgent(more: Partial<AgentState> = {}): AgentState {
  return {
    store: new IdentityStore(),
    lock: new AgentLock(),
    choice: new IdentityChoice(),
    policy: { allowedProviders: '/usr/lib/*' },
    hasUpstreams: false,
    canonicalPath: (path) => path,
    random: randomBytes,
    ...more,
  };
}

/** One connection to `agent`. */
export class Client {
  readonly connection: ConnectionState = { bindings: new SessionBindings() };
  readonly #agent: AgentState;
  now: Moment;

  constructor(agent: AgentState, now: Moment = moment()) {
    this.#agent = agent;
    this.now = now;
  }

  send(message: Uint8Array): Outcome {
    return handleRequest(this.#agent, this.connection, message, this.now);
  }

  /** For requests that are answered at once. */
  ask(message: Uint8Array): AgentReply {
    const outcome = this.send(message);
    if (!(outcome instanceof Uint8Array)) throw new TypeError(`an effect: ${outcome.effect}`);
    return decodeAgentReply(outcome);
  }

  effect<Name extends Effect['effect']>(name: Name, message: Uint8Array): Extract<Effect, { effect: Name }> {
    const outcome = this.send(message);
    if (outcome instanceof Uint8Array || outcome.effect !== name) throw new TypeError('not that effect');
    return outcome as Extract<Effect, { effect: Name }>;
  }

  add(key: SampleKey, constraints: KeyConstraints = {}, certificate?: Certificate): AgentReply['type'] {
    return this.ask(encodeAddRequest({ fields: fieldsOf(key, certificate), comment: text('sample'), constraints }))
      .type;
  }

  list(): Uint8Array[] {
    const reply = this.ask(encodeListRequest());
    if (reply.type !== 'identities') throw new TypeError('no list');
    return reply.identities.map(({ blob }) => blob);
  }

  sign(keyBlob: Uint8Array, data: Uint8Array, flags = 0): AgentReply['type'] {
    return this.ask(encodeSignRequest({ keyBlob, data, flags })).type;
  }

  bind(contents: Uint8Array): AgentReply['type'] {
    return this.ask(encodeExtensionRequest(extensionNames.sessionBind, contents)).type;
  }
}

/** What ssh asks to sign when it logs in. */
export function loginData(
  keyBlob: Uint8Array,
  options: { sessionId: Uint8Array; user?: string; hostKeyBlob?: Uint8Array },
): Uint8Array {
  const writer = new WireWriter()
    .string(options.sessionId)
    .byte(50)
    .string(options.user ?? 'alice')
    .string('ssh-connection')
    .string(options.hostKeyBlob === undefined ? 'publickey' : 'publickey-hostbound-v00@openssh.com')
    .byte(1)
    .string('ssh-ed25519')
    .string(keyBlob);
  return (options.hostKeyBlob === undefined ? writer : writer.string(options.hostKeyBlob)).finish();
}

/** `from` undefined: the origin. */
export function destination(
  from: { name: string; key: Uint8Array; isCa?: boolean } | undefined,
  to: { name: string; key: Uint8Array; isCa?: boolean; user?: string },
): DestinationConstraint {
  return {
    from:
      from === undefined
        ? { user: '', hostname: '', keys: [] }
        : { user: '', hostname: from.name, keys: [{ blob: from.key, isCa: from.isCa ?? false }] },
    to: { user: to.user ?? '', hostname: to.name, keys: [{ blob: to.key, isCa: to.isCa ?? false }] },
  };
}
