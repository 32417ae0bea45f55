/** What a check of `countersign doctor` says: one line, how bad it is, and what to do. */

export type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** Stable, for programs: `clock`, `sshd-answers`. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** Only of `warn` and `fail`. */
  readonly advice?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message };
}

export function warn(check: string, message: string, advice: string): Finding {
  return { check, level: 'warn', message, advice };
}

export function fail(check: string, message: string, advice: string): Finding {
  return { check, level: 'fail', message, advice };
}
