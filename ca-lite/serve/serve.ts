/** `countersign-ca serve`: opens the CA, listens, reads ca.toml anew on SIGHUP, and on SIGTERM or SIGINT lets requests in flight finish before it closes the store. */
import { once } from 'node:events';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import type { CaLayout } from '../directory/layout.ts';
import { authorityOf } from '../directory/open-config.ts';
import { LiveContext } from '../http/context.ts';
import { Drain } from '../http/drain.ts';
import { createServer } from '../http/server.ts';
import type { CaServer } from '../http/typed-server.ts';
import { followKeys } from '../rotation/live-keys.ts';
import { closeUnfinishedIntents, startHousekeeping } from './housekeeping.ts';
import { openCa } from './open-ca.ts';
import { reloadOnWish } from './reload.ts';
import { type ServiceManager, giveSignsOfLife, storeAnswers } from './service-notice.ts';

export interface ServeOptions {
  readonly layout: CaLayout;
  readonly config: Config;
  /** Reads the configuration anew, as `config` was read. @throws CommandError */
  readonly readAgain: () => Promise<Config>;
  /** Takes what is to be called when the configuration is to be read anew; a wish that came earlier calls it at once. */
  readonly heedReloads: (reload: () => void) => void;
  readonly passphrase: Uint8Array;
  readonly log: Logger;
  /** Ends serving, gracefully. */
  readonly stop: AbortSignal;
  /** What is told that the CA is ready, alive, stopping. */
  readonly manager: ServiceManager;
  /** Called once requests are answered. */
  readonly ready: (listening: Listening) => void;
}

export interface Listening {
  readonly url: string;
  readonly port: number;
  readonly rootFingerprint: string;
}

/** Resolves when everything is closed. @throws CommandError when it cannot listen, and what `openCa` throws */
export async function serve(options: ServeOptions): Promise<void> {
  const { layout, config, passphrase, log, stop, manager, ready } = options;
  const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));
  await using ca = await openCa({ layout, config, passphrase, log, now });
  passphrase.fill(0);
  const closed = await closeUnfinishedIntents(ca.context.store, now());
  if (closed > 0)
    log.warn({ closed }, 'issuances that were cut off by a crash were closed; none of them had left the CA');
  if (config.enrolment.allowLoopback) log.warn('enrolment.insecure_allow_loopback is on: for development only');
  const live = new LiveContext(ca.context);
  const drain = new Drain();
  const server = await createServer(live, ca.tls.material, drain);
  await listen(server, config);
  using _housekeeping = startHousekeeping(ca.context, ca.tls, (material) =>
    (server.server as HttpsServer).setSecureContext(material),
  );
  using _following = followKeys(ca.keys, log);
  const { port: bound } = server.server.address() as AddressInfo;
  live.change({ authority: authorityOf(config, bound) });
  const { authority, rootFingerprint, store } = live.current;
  const url = `https://${authority}`;
  const { settings } = ca;
  await using _reloads = reloadOnWish({ live, settings, read: options.readAgain, manager, log }, options.heedReloads);
  ready({ url, port: bound, rootFingerprint });
  manager.notify({ ready: true, status: `serving ${url}` });
  using _signs = giveSignsOfLife(manager, () => storeAnswers(store, now()));
  if (!stop.aborted) await once(stop, 'abort');
  manager.notify({ stopping: true, status: 'requests in flight finish first' });
  log.info('stopping: requests in flight finish first');
  await drain.stop(server);
}

/** Without a host: every address of the machine, IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6. */
async function listen(server: CaServer, { listen: { host, port } }: Config): Promise<void> {
  try {
    await server.listen({ host: host ?? '::', port });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (host === undefined && code === 'EAFNOSUPPORT') return void (await server.listen({ host: '0.0.0.0', port }));
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`The CA cannot listen: ${why}. Set another address in ca.toml, or stop what has it.`, {
      cause,
    });
  }
}
