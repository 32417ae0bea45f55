/**
 * The faults of a store, whichever database is behind it. A refusal is never a fault: it is a value (`decisions.ts`).
 *
 * After a fault of a write the caller may not conclude that nothing was written: when the machine dies in that moment,
 * the write can turn up done. The reverse never happens: what was acknowledged is there.
 */
export type StoreErrorCode =
  | 'store-overloaded' // the queue in front of the writer is full
  | 'store-busy' // another process is writing and did not finish in time
  | 'store-locked' // another server has the store
  | 'store-full' // no room on the disk
  | 'store-read-only'
  | 'store-corrupt'
  | 'store-foreign' // a file, but not a Countersign store
  | 'store-missing'
  | 'store-exposed' // other users may write the file
  | 'store-newer' // written by a newer version
  | 'store-older' // a migration is due that this opening may not do
  | 'store-io' // the disk or its driver failed
  | 'store-failed' // the engine or its worker thread failed; nothing more can be done in this process
  | 'store-defect' // one request failed on a defect of this program; the others were not touched
  | 'store-closed'
  | 'backup-exists';

const advice: Readonly<Record<StoreErrorCode, string>> = {
  'store-overloaded': 'Too many requests wait for the disk. Try again later, with increasing pauses.',
  'store-busy': 'Another process is writing to it. Try again; if it lasts, look for a hanging countersign-ca command.',
  'store-locked': 'One server per SQLite store. Stop the other one, or move to PostgreSQL to run several.',
  'store-full': 'Free some space on that file system. The server goes on by itself, no restart is needed.',
  'store-read-only':
    'Check the owner and mode of the file and its directory, and that the file system is not mounted read-only.',
  'store-corrupt': 'Stop the server, keep a copy of the file for inspection, and restore the last backup.',
  'store-foreign': 'Check the path of the store in the configuration.',
  'store-missing':
    'Check the path of the store in the configuration and that its disk is mounted. A new one is made by init.',
  'store-exposed': 'Find out who could write it, then take that right away: chmod 600 FILE.',
  'store-newer': 'Run the version that wrote it, or a newer one; or restore a backup made by this version.',
  'store-older': 'Start the server of this version once: it brings the store up to date.',
  'store-io':
    'See the system log for faults of the disk. What was acknowledged before is safe; restart after the repair.',
  'store-failed': 'Restart the server. If it happens again, report the message with the log around it.',
  'store-defect': 'Report the message with the log around it.',
  'store-closed': 'The server is shutting down. Try again later.',
  'backup-exists': 'Name another file, or remove that one first.',
};

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  /** @param what what happened, one sentence; what to do about it is added by the code */
  constructor(code: StoreErrorCode, what: string, options?: ErrorOptions) {
    super(`${what} ${advice[code]}`, options);
    this.code = code;
  }

  /** Back from a thread: `structuredClone` keeps neither class nor code of an Error, so the plain data travels. */
  static revive({ code, message }: StoreFault): StoreError {
    const error = new StoreError(code, '');
    error.message = message;
    return error;
  }

  /** What travels between threads. */
  toFault(): StoreFault {
    return { code: this.code, message: this.message };
  }
}

export interface StoreFault {
  readonly code: StoreErrorCode;
  readonly message: string;
}
