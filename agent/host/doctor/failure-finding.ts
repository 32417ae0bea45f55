/** An expected failure as a finding; anything else stays an error. */
import { isFailure } from '../../failure.ts';
import { type Finding, fail } from './finding.ts';

/** @param advice for failures that bring none of their own */
export function findingOf(check: string, error: unknown, advice: string): Finding {
  if (!isFailure(error)) throw error;
  return fail(check, error.message, error.advice ?? advice);
}
