/** How often a host does what it does by itself. */
import { ASK_EVERY_SECONDS } from './following/schedule.ts';
import { REPORT_EVERY_SECONDS } from './renewal/agenda.ts';
import { DEFAULT_SCHEDULE } from './renewal/daemon.ts';

export interface HostPolicy {
  /** When the daemon looks besides the moments that are known to matter: a cron expression. */
  readonly schedule: string;
  /** Each look of the schedule happens up to this much later. */
  readonly jitterSeconds: number;
  /** A certificate in use is reported again after this long. */
  readonly reportEverySeconds: number;
  /** Which keys to trust, and what is revoked, is asked again after this long. */
  readonly followEverySeconds: number;
}

export const defaultPolicy: HostPolicy = {
  schedule: DEFAULT_SCHEDULE,
  jitterSeconds: 0,
  reportEverySeconds: REPORT_EVERY_SECONDS,
  followEverySeconds: ASK_EVERY_SECONDS,
};
