/**
 * `GET /time?nonce=N`: the CA's time, signed, for devices whose clock cannot be believed (1970 after a flat battery, or the year 2040).
 * The reply is judged without a clock: the nonce proves that it was made after the question, and the validity of the statement key's
 * certificate (protocol/trust.ts) is held against the time told, not against the local one. The true time then lies between
 * `time` and `time` plus how long the answer took. Nothing here sets a clock.
 */
import { Type, type Static } from 'typebox';
import { Base64 } from './wire-text.ts';

/** SSHSIG namespace. */
export const TIME_NAMESPACE = 'time@countersign';
export const TIME_STATEMENT_TYPE = 'countersign-time-v1';

/** 16 to 64 random bytes, base64url without padding. */
const Nonce = Type.String({ pattern: '^[A-Za-z0-9_-]{22,86}$' });

export const TimeQuery = Type.Object({ nonce: Nonce }, { additionalProperties: false });
export type TimeQuery = Static<typeof TimeQuery>;

/** The signed payload, a JSON text. */
export const TimeStatement = Type.Object({
  type: Type.Literal(TIME_STATEMENT_TYPE),
  nonce: Nonce,
  /** Epoch seconds, UTC, by the CA's clock at the moment of signing. */
  time: Type.Integer({ minimum: 0 }),
});
export type TimeStatement = Static<typeof TimeStatement>;

export const TimeReply = Type.Object({
  payload: Type.Unsafe<string>({
    ...Base64,
    description: 'base64 of a TimeStatement: exactly the bytes that were signed',
  }),
  /** As in `GET /ssh/trust`: one by a statement key of each host CA key that the CA holds, the current one first. */
  signatures: Type.Array(Base64, { minItems: 1, maxItems: 16 }),
});
export type TimeReply = Static<typeof TimeReply>;
