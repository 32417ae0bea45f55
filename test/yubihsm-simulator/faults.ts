/** Faults that the simulator has when it is asked to: one request after the other meets the next fault in line. */

/** What goes wrong. */
export type Fault =
  /** The connection is cut: before the device sees the message, or after it did its work. */
  | { kind: 'drop'; when: 'before' | 'after' }
  /** The answer comes late. */
  | { kind: 'delay'; ms: number }
  /** One bit of the answer is flipped. */
  | { kind: 'corrupt' }
  /** The answer is not the device's: it is refused in plain text with this number. */
  | { kind: 'refuse'; number: number }
  /** The device's power is cut and comes back: before the message reaches it, or while it works on it. */
  | { kind: 'power-cut'; when: 'before' | 'during' };

/** A fault, and how many requests pass before it. */
export interface PlannedFault {
  fault: Fault;
  /** Only requests of this size or more meet the fault, so that echoes pass. */
  minBytes?: number;
  /** Requests that pass first; 0 when not given. */
  after?: number;
}

/** Faults in waiting. */
export class Faults {
  #planned: PlannedFault[] = [];
  /** As long as it is set the connector has no device. */
  deviceGone = false;

  plan(...faults: PlannedFault[]): void {
    this.#planned.push(...faults);
  }

  clear(): void {
    this.#planned = [];
    this.deviceGone = false;
  }

  /** The fault that this request meets. */
  next(requestBytes: number): Fault | undefined {
    const [first] = this.#planned;
    if (first === undefined || requestBytes < (first.minBytes ?? 0)) return undefined;
    if ((first.after ?? 0) > 0) {
      first.after = (first.after ?? 0) - 1;
      return undefined;
    }
    this.#planned.shift();
    return first.fault;
  }
}
