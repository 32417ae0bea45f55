/**
 * The agents behind this one, in the order of configuration; a failing one is passed over and shown as failing, nothing
 * more. Their keys are listed and used, never removed, locked or added to through us.
 */
import { type ListedIdentity, decodeAgentReply } from '#openssh/agent-reply.ts';
import { encodeListRequest } from '#openssh/agent-request.ts';
import type { ControlUpstream } from '#protocol/control.ts';
import { type IdentityId, identityId } from './identity.ts';
import type { SessionBindings } from './session-bindings.ts';
import { UpstreamLink } from './upstream-link.ts';

const LIST_TIMEOUT_MS = 3000;
/** The upstream agent may ask its user, or wait for a touch. */
const SIGN_TIMEOUT_MS = 120_000;

export interface UpstreamConfig {
  readonly name: string;
  /** Path of a Unix socket or named pipe. */
  readonly socket: string;
}

export class UpstreamAgents {
  readonly #health = new Map<string, ControlUpstream['health']>();
  readonly #configs: readonly UpstreamConfig[];
  readonly #holders = new Map<IdentityId, string>();

  constructor(configs: readonly UpstreamConfig[]) {
    this.#configs = configs;
  }

  get size(): number {
    return this.#configs.length;
  }

  describe(): ControlUpstream[] {
    return this.#configs.map((each) => ({ ...each, health: this.#health.get(each.name) ?? 'unused' }));
  }

  /** The view of one client connection; dispose it with the connection. */
  open(bindings: SessionBindings): UpstreamSession {
    const links = this.#configs.map(({ name, socket }) => ({ name, link: new UpstreamLink(socket, bindings) }));
    return new UpstreamSession(links, this.#holders, (name, health) => this.#health.set(name, health));
  }
}

interface NamedLink {
  readonly name: string;
  readonly link: UpstreamLink;
}

export class UpstreamSession {
  readonly #links: readonly NamedLink[];
  readonly #holders: Map<IdentityId, string>;
  readonly #report: (name: string, health: 'ok' | 'failing') => void;

  constructor(
    links: readonly NamedLink[],
    holders: Map<IdentityId, string>,
    report: (name: string, health: 'ok' | 'failing') => void,
  ) {
    this.#links = links;
    this.#holders = holders;
    this.#report = report;
  }

  /** The identities of all that answer, in the order of configuration. */
  async list(): Promise<ListedIdentity[]> {
    const lists = await Promise.all(this.#links.map((each) => this.#listOf(each)));
    return lists.flat();
  }

  /** The signature reply of the first that gives one; undefined when none does. */
  async sign(keyBlob: Uint8Array, message: Uint8Array): Promise<Uint8Array | undefined> {
    const holder = this.#holders.get(identityId(keyBlob));
    const links = this.#links.toSorted((a, b) => Number(b.name === holder) - Number(a.name === holder));
    for (const each of links) {
      const reply = await this.#ask(each, message, SIGN_TIMEOUT_MS);
      if (reply !== undefined && decodeOrNothing(reply)?.type === 'signature') return reply;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const { link } of this.#links) link.close();
  }

  async #listOf(each: NamedLink): Promise<readonly ListedIdentity[]> {
    const reply = await this.#ask(each, encodeListRequest(), LIST_TIMEOUT_MS);
    const decoded = reply === undefined ? undefined : decodeOrNothing(reply);
    if (decoded?.type !== 'identities') return [];
    for (const { blob } of decoded.identities) this.#holders.set(identityId(blob), each.name);
    return decoded.identities;
  }

  async #ask({ name, link }: NamedLink, message: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined> {
    try {
      const reply = await link.request(message, timeoutMs);
      this.#report(name, 'ok');
      return reply;
    } catch {
      this.#report(name, 'failing');
      return undefined;
    }
  }
}

function decodeOrNothing(reply: Uint8Array): ReturnType<typeof decodeAgentReply> | undefined {
  try {
    return decodeAgentReply(reply);
  } catch {
    return undefined;
  }
}
