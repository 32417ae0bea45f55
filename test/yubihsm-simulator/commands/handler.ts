/** What handles one command: its data in, the data of the answer out, or a {@link Refusal}. */
import type { Cursor } from '../cursor.ts';
import type { Context } from '../rules.ts';

export type Handler = (context: Context, data: Cursor) => Buffer | Promise<Buffer>;

export const nothing = Buffer.alloc(0);
