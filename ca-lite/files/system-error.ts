/** Faults of the operating system (`ENOENT`, `EACCES`, ...) among all others. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
