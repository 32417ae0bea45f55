/** What a serving CA does beside answering: closing what a crash left open, forgetting spent tokens, renewing its TLS certificate. */
import type { CaContext } from '../http/context.ts';
import type { Store } from '../store/store.ts';
import type { ServerTls, TlsMaterial } from './server-tls.ts';

const PRUNE_LEEWAY_SECONDS = 600n;
const PRUNE_ROWS = 1000;
const INTERVAL_MS = 60_000;
/** Epoch seconds that no clock reaches. */
const END_OF_TIME = 2n ** 53n - 1n;

/**
 * Closes the intents of a process that ended between recording and replying: none of their certificates was let out, since the reply
 * comes after the result. Called once at start, while no other server has the store.
 */
export async function closeUnfinishedIntents(store: Store, now: bigint): Promise<number> {
  let closed = 0;
  let cursor: string | undefined;
  do {
    // All of them, whatever the clock says now: a server that is alone on its store has none in its hands yet.
    const { items, next } = await store.unfinishedIntents(END_OF_TIME, { limit: 100, cursor });
    for (const { serial, type, keyId, keyFingerprint } of items) {
      const subject = { type, name: keyId, serial, keyFingerprint, actor: 'start of the server' };
      await store.abandonIntent({ serial, now, audit: { time: now, action: 'certificate-abandon', subject } });
      closed += 1;
    }
    cursor = next ?? undefined;
  } while (cursor !== undefined);
  return closed;
}

/** Runs once a minute until disposed; a failure is logged and tried again. */
export function startHousekeeping(
  context: CaContext,
  tls: ServerTls,
  install: (material: TlsMaterial) => void,
): Disposable {
  const timer = setInterval(() => void tidy(context, tls, install), INTERVAL_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function tidy(
  { store, now, log }: CaContext,
  tls: ServerTls,
  install: (material: TlsMaterial) => void,
): Promise<void> {
  try {
    let more = true;
    while (more) ({ more } = await store.prune({ now: now(), leewaySeconds: PRUNE_LEEWAY_SECONDS, limit: PRUNE_ROWS }));
    const material = await tls.renew(new Date(Number(now()) * 1000));
    if (material !== undefined) {
      install(material);
      log.info('the TLS certificate of the API was renewed');
    }
  } catch (error) {
    log.error({ err: error }, 'housekeeping failed; it is tried again in a minute');
  }
}
