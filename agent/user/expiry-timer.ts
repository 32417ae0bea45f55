/** Removes identities when their time is up, also when no client asks: a key that has ended must leave the memory. */
import type { ChangeSignal } from './change-signal.ts';
import type { IdentityStore } from './identity-store.ts';
import type { Clock } from './moment.ts';

/** Looks again at least this often while something has an end: the wall clock may jump, and machines sleep. */
const MAX_WAIT_MS = 60_000;

export function startExpiry(store: IdentityStore, changes: ChangeSignal, clock: Clock): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    clearTimeout(timer);
    store.expire(clock());
    const wait = store.msToNextEnd(clock());
    if (wait !== Infinity) timer = setTimeout(arm, Math.min(Math.ceil(wait) + 1, MAX_WAIT_MS)).unref();
  };
  const listening = changes.listen(arm);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      listening[Symbol.dispose]();
    },
  };
}
