/**
 * Reads ca.toml anew while the CA serves. It is checked whole first, and on record before it counts; a file that cannot be used changes
 * nothing, and neither does a change of what only a start can take up (`config-change.ts`), which is named.
 */
import type { Logger } from 'pino';
import type { AuditStatement } from '../audit/entry.ts';
import { CommandError } from '../command-error.ts';
import { judgeChange } from '../config/config-change.ts';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/parse.ts';
import type { LiveContext } from '../http/context.ts';
import type { ServiceManager } from './service-notice.ts';
import type { SettingsMaker } from './settings.ts';

export interface ReloadParts {
  readonly live: LiveContext;
  readonly settings: SettingsMaker;
  /** As at the start. @throws CommandError */
  readonly read: () => Promise<Config>;
  readonly manager: Pick<ServiceManager, 'notify'>;
  readonly log: Logger;
}

/** One after the other; disposing waits for the one that runs. @param heed is given what to call at each wish to reload */
export function reloadOnWish(parts: ReloadParts, heed: (reload: () => void) => void): AsyncDisposable {
  let running = Promise.resolve();
  heed(() => {
    running = running.then(async () => reloadOrTell(parts));
  });
  return {
    async [Symbol.asyncDispose]() {
      heed(() => undefined);
      await running;
    },
  };
}

async function reloadOrTell(parts: ReloadParts): Promise<void> {
  try {
    await reload(parts);
  } catch (error) {
    parts.log.error({ err: error }, 'ca.toml was not taken over: the settings from before stay in force');
  }
}

async function reload(parts: ReloadParts): Promise<void> {
  const { live, settings, log, manager } = parts;
  const { config: before, store, now, authority } = live.current;
  const read = await readOrRefuse(parts);
  if (read === undefined) return;
  const { config, taken, kept } = judgeChange(before, read);
  const next = settings.make(config);
  const details = { taken: [...taken], kept: [...kept] };
  await store.appendAudit([{ ...statement(now()), outcome: 'allowed', code: 'ok', details }]);
  live.change(next);
  log.level = config.log.level;
  log.info({ taken, kept }, 'ca.toml was read anew');
  if (kept.length > 0) log.warn({ kept }, 'these changes of ca.toml count from the next start of the CA');
  if (config.enrolment.allowLoopback) log.warn('enrolment.insecure_allow_loopback is on: for development only');
  manager.notify({ status: `serving https://${authority}` });
}

async function readOrRefuse({ read, live, log, manager }: ReloadParts): Promise<Config | undefined> {
  const { store, now, authority } = live.current;
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    log.error(`${error.message} The settings from before stay in force.`);
    manager.notify({ status: `serving https://${authority} with the settings from before: ca.toml cannot be used` });
    const faults = error.cause instanceof ConfigError ? error.cause.faults.slice(0, MAX_FAULTS) : undefined;
    const code = faults === undefined ? 'config-unreadable' : 'config-invalid';
    const details = faults === undefined ? {} : { faults: faults.map(({ key }) => key) };
    await store.appendAudit([{ ...statement(now()), outcome: 'refused', code, details }]);
    return undefined;
  }
}

const MAX_FAULTS = 20;

function statement(time: bigint): Pick<AuditStatement, 'time' | 'action' | 'subject'> {
  return { time, action: 'config-reload', subject: { actor: 'SIGHUP' } };
}
