/**
 * Has V8 give up all that it can: what only the start needed, code that ran once among it. V8 itself would wait for more garbage than
 * an idle agent ever makes.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (how: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/** Takes some ten milliseconds of an agent that has just started. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc'); // a new context has `gc` then
  try {
    (runInNewContext('gc') as Collect)({ type: 'major', flavor: 'last-resort' });
  } finally {
    setFlagsFromString('--no-expose-gc'); // code caches are for the flags as they were
  }
}
