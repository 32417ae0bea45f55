/**
 * The sessions in the keychain: one item for each, under the socket of the agent that owns it. Where there is no safe keychain the sessions live in
 * memory alone, and that is said; a plain file is never used.
 */
import type { ControlSignInState } from '#protocol/control.ts';
import { isFailure } from '../../failure.ts';
import type { Keychain, KeychainItem } from '../keychain/keychain.ts';
import type { Session } from './session.ts';
import { formatSecret, parseSecret } from './session-secret.ts';

/** More than anybody signs in to. */
export const MAX_SESSIONS = 16;

export class SessionVault {
  readonly #keychain: Keychain | undefined;
  readonly #prefix: string;
  #description: ControlSignInState['keychain'];

  /** @param keychain undefined: switched off @param socket of the agent: two agents never share an item */
  constructor(keychain: Keychain | undefined, socket: string) {
    this.#keychain = keychain;
    this.#prefix = `${socket} `;
    this.#description =
      keychain === undefined
        ? { kind: 'memory', reason: 'no keychain is used: it is switched off, or this agent is not the daemon' }
        : { kind: 'unused' };
  }

  get description(): ControlSignInState['keychain'] {
    return this.#description;
  }

  /** @returns undefined when the keychain cannot be asked now */
  async load(signal?: AbortSignal): Promise<readonly Session[] | undefined> {
    const items = await this.#try((keychain) => keychain.list(signal));
    return items
      ?.filter(({ account }) => account.startsWith(this.#prefix))
      .flatMap((item) => this.#sessionIn(item) ?? [])
      .slice(0, MAX_SESSIONS);
  }

  /** Where the session is kept now. */
  async save(session: Session): Promise<Session['storedIn']> {
    const secret = formatSecret(session);
    if (secret === undefined) {
      if (session.storedIn === 'keychain') await this.remove(session);
      return 'memory';
    }
    const account = this.#accountOf(session);
    const saved = await this.#try(async (keychain) => {
      await keychain.write({ account, secret });
      return true;
    });
    // an item of before would end the session when it is used: its refresh token was replaced
    if (saved === undefined && session.storedIn === 'keychain') await this.remove(session);
    return saved === undefined ? 'memory' : 'keychain';
  }

  async remove(session: Session): Promise<void> {
    await this.#try((keychain) => keychain.remove(this.#accountOf(session)));
  }

  #accountOf({ id }: Session): string {
    return `${this.#prefix}${id}`;
  }

  #sessionIn({ account, secret }: KeychainItem): Session | undefined {
    const session = parseSecret(secret);
    return session !== undefined && this.#accountOf(session) === account ? session : undefined;
  }

  async #try<T>(work: (keychain: Keychain) => Promise<T>): Promise<T | undefined> {
    if (this.#keychain === undefined) return undefined;
    try {
      const result = await work(this.#keychain);
      this.#description = { kind: 'system' };
      return result;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.#description = { kind: 'memory', reason: error.message.slice(0, 1024) };
      return undefined;
    }
  }
}
