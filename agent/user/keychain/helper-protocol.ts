/** What the agent and its keychain helper say to each other: one JSON document each way, over pipes. Secrets are never arguments. Pure. */
import { type Static, Type } from 'typebox';

/** The name that people see in their keychain. */
export const KEYCHAIN_SERVICE = 'Countersign sign-in';
export const MAX_MESSAGE_LENGTH = 1024 * 1024;

const Account = Type.String({ minLength: 1, maxLength: 1024 });
const Secret = Type.String({ minLength: 1, maxLength: 64 * 1024 });

export const HelperRequest = Type.Union([
  Type.Object({ operation: Type.Literal('list') }),
  Type.Object({ operation: Type.Literal('write'), account: Account, secret: Secret }),
  Type.Object({ operation: Type.Literal('remove'), account: Account }),
]);
export type HelperRequest = Static<typeof HelperRequest>;

export const HelperReply = Type.Union([
  Type.Object({ items: Type.Array(Type.Object({ account: Account, secret: Type.String() }), { maxItems: 1000 }) }),
  Type.Object({
    code: Type.Union([Type.Literal('keychain-missing'), Type.Literal('keychain-refused')]),
    reason: Type.String({ maxLength: 1024 }),
  }),
]);
export type HelperReply = Static<typeof HelperReply>;
