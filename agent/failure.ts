/**
 * What every expected failure of the agent has in common: a stable code for programs, one clear sentence for the person, and
 * what to do next. Each area derives its own class with its own list of codes; whatever else is thrown is a defect.
 */

export interface FailureOptions extends ErrorOptions {
  /** What the person can do next: one or more full sentences. */
  readonly advice?: string;
}

export class Failure<Code extends string = string> extends Error {
  override readonly name: string = 'Failure';
  readonly code: Code;
  readonly advice: string | undefined;

  constructor(code: Code, message: string, options: FailureOptions = {}) {
    super(message, options);
    this.code = code;
    this.advice = options.advice;
  }
}

/** `instanceof` alone would say `Failure<any>`. */
export function isFailure(error: unknown): error is Failure {
  return error instanceof Failure;
}

/** The `code` of an error of the system or of Node, such as `ENOENT`; undefined for anything else, our own codes too. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^[A-Z][A-Z0-9_]+$/.test(error.code) ? error.code : undefined;
}

const systemErrorWords: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'it does not answer',
};

/** Why a system call failed, in words; the code itself where we have no better ones. */
export function systemErrorReason(error: unknown): string {
  const code = systemErrorCode(error);
  if (code === undefined) return error instanceof Error ? error.message : 'an unknown error';
  return systemErrorWords[code] ?? code;
}
