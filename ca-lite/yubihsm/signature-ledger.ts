/**
 * What this process asked one device to sign, in the order in which it asked, until the device's own log was held against
 * it (`log-join.ts`). The device logs no content, so this is what tells which certificate an entry of its log is about.
 */
import { type Command, commandNumbers } from './commands/command.ts';
import { HsmDeviceError, isHsmError } from './errors.ts';

/** Signatures that are remembered when nobody reads the device's log; the oldest are forgotten first. */
const maxRemembered = 4096;

/** One command that signs. */
export interface SentSignature {
  command: number;
  /** The length of the command's data, as the device logs it. */
  length: number;
  /** The key that signs. */
  keyId: number;
  /** The authentication key of the session. */
  authKeyId: number;
  /** The certificate that it is for. */
  serial: bigint;
  /** `unknown`: the connection broke, and the device may have signed. */
  outcome: 'under-way' | 'signed' | 'unknown';
  /** An `unknown` one was looked for in the log before; a connector may hand on a message whose sender is gone. */
  lookedFor: boolean;
}

/** Signatures that were asked of one device. */
export class SignatureLedger {
  #sent: SentSignature[] = [];

  /** What was sent and is not settled yet, oldest first. */
  get sent(): readonly SentSignature[] {
    return this.#sent;
  }

  /** Notes a command before it is sent. A command that signs no certificate is not noted. */
  begin(command: Command<unknown>, authKeyId: number): SentSignature | undefined {
    if (command.effect !== 'sign' || command.serial === undefined) return undefined;
    const sent: SentSignature = {
      command: commandNumbers[command.name],
      length: command.data.length,
      keyId: (command.data[0]! << 8) | command.data[1]!,
      authKeyId,
      serial: command.serial,
      outcome: 'under-way',
      lookedFor: false,
    };
    this.#sent.push(sent);
    if (this.#sent.length > maxRemembered) this.#sent.shift();
    return sent;
  }

  /**
   * Notes that a command failed: what the device surely did not sign is forgotten. A refusal that ended the session came
   * without a MAC, and proves nothing.
   */
  failed(sent: SentSignature | undefined, error: unknown, sessionLost: boolean): void {
    if (sent === undefined) return;
    const refused = error instanceof HsmDeviceError && !sessionLost;
    const notSigned = refused || isHsmError(error, 'connector-unreachable');
    if (notSigned) this.#sent = this.#sent.filter((each) => each !== sent);
    else sent.outcome = 'unknown';
  }

  /** What is not under way any more: asked before the log is read, these are the signatures that must be in it. */
  decided(): Set<SentSignature> {
    return new Set(this.#sent.filter(({ outcome }) => outcome !== 'under-way'));
  }

  /** Forgets what was found in the log, and what should have been there. */
  settle(found: ReadonlySet<SentSignature>, decided: ReadonlySet<SentSignature>): void {
    this.#sent = this.#sent.filter((sent) => {
      if (found.has(sent)) return false;
      if (!decided.has(sent)) return true;
      const again = sent.outcome === 'unknown' && !sent.lookedFor;
      sent.lookedFor = true;
      return again;
    });
  }
}
