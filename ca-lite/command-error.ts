/** A command that cannot do what was asked: one sentence of what and why, one of what to do next. The process ends with status 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
