/**
 * Holds the logs that HSMs kept of themselves, as the audit log has them, against the certificates that the CA knows: every
 * signature by a CA key must belong to one. Pure but for the question whether a serial is on record.
 *
 *   signature-unknown     a CA key signed something that no certificate explains: somebody else uses the key
 *   signature-unrecorded  a signature is said to be for a certificate that is not on record
 *   device-log-broken     entries of a device were missing or changed when its log was read
 *
 * What it cannot find: what was signed before the CA read the device's log for the first time, and what a device signed while
 * its log was switched off, which only an administrator of the device can do.
 */
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeLogEntry, type LogEntry, logEntryLength } from '../yubihsm/commands/log.ts';
import { signaturesIn } from '../yubihsm/log-join.ts';
import {
  ACKNOWLEDGE,
  DEVICE_LOG,
  DEVICE_SIGNATURE,
  readAcknowledge,
  readDeviceLog,
  readDeviceSignature,
} from './device-log-entry.ts';
import type { AuditEntry } from './entry.ts';

export interface DeviceLogFault {
  readonly kind: 'signature-unknown' | 'signature-unrecorded' | 'device-log-broken';
  /** The entry of the audit log that shows it, and that `audit --acknowledge` takes. */
  readonly sequence: bigint;
  readonly message: string;
}

export interface DeviceLogReport {
  /** Signatures of devices that belong to certificates. */
  readonly signatures: number;
  readonly faults: readonly DeviceLogFault[];
  /** Those that an administrator has looked into. */
  readonly acknowledged: readonly DeviceLogFault[];
}

/** Entries are pushed in the order of the log. */
export class DeviceLogVerifier {
  readonly #isOnRecord: (serial: bigint) => Promise<boolean>;
  readonly #faults: DeviceLogFault[] = [];
  readonly #acknowledged = new Set<bigint>();
  /** By device: the numbers of its entries that belong to certificates, since its last batch. */
  readonly #explained = new Map<string, Set<number>>();
  readonly #seen = new Set<string>();
  #signatures = 0;

  constructor(isOnRecord: (serial: bigint) => Promise<boolean>) {
    this.#isOnRecord = isOnRecord;
  }

  async push(entry: AuditEntry): Promise<void> {
    switch (entry.action) {
      case DEVICE_SIGNATURE:
        return this.#signature(entry);
      case DEVICE_LOG:
        return this.#batch(entry);
      case ACKNOWLEDGE: {
        const acknowledged = readAcknowledge(entry.details);
        if (acknowledged !== undefined) this.#acknowledged.add(BigInt(acknowledged.entry));
      }
    }
  }

  finish(): DeviceLogReport {
    const isAcknowledged = ({ sequence }: DeviceLogFault): boolean => this.#acknowledged.has(sequence);
    return {
      signatures: this.#signatures,
      faults: this.#faults.filter((fault) => !isAcknowledged(fault)),
      acknowledged: this.#faults.filter(isAcknowledged),
    };
  }

  async #signature({ sequence, subject, details }: AuditEntry): Promise<void> {
    const number = readDeviceSignature(details)?.entry;
    const { name, serial } = subject;
    if (number === undefined || name === null || serial === null || !(await this.#isOnRecord(serial))) {
      const what = `serial ${serial ?? 'none'}, which is not on record`;
      this.#fault(
        'signature-unrecorded',
        sequence,
        `entry ${number ?? '?'} of the log of ${name ?? '?'} is for ${what}`,
      );
      return;
    }
    this.#signatures += 1;
    const explained = this.#explained.get(name) ?? new Set();
    this.#explained.set(name, explained.add(number));
  }

  #batch({ sequence, subject, details, code }: AuditEntry): void {
    const device = subject.name ?? '?';
    const batch = readDeviceLog(details);
    const explained = this.#explained.get(device);
    this.#explained.delete(device);
    const first = !this.#seen.has(device);
    this.#seen.add(device);
    if (code === 'log-chain-broken') {
      this.#fault('device-log-broken', sequence, `the log of ${device} did not follow what was read before`);
    }
    if (batch === undefined || first || !batch.linked) return;
    for (const { number, targetKey } of signaturesIn(batch.entries.map(deviceEntry), batch.watched ?? [])) {
      if (explained?.has(number) === true) continue;
      const key = `0x${targetKey.toString(16).padStart(4, '0')}`;
      const message = `${device} signed with key ${key} what belongs to no certificate (entry ${number} of its log)`;
      this.#fault('signature-unknown', sequence, message);
    }
  }

  #fault(kind: DeviceLogFault['kind'], sequence: bigint, message: string): void {
    this.#faults.push({ kind, sequence, message });
  }
}

/** From the text of an `hsm-log` entry. */
function deviceEntry(text: string): LogEntry {
  const bytes = Buffer.concat(text.split(' ').map(decodeBase64));
  if (bytes.length !== logEntryLength) throw new TypeError('an entry of a device has 32 bytes');
  return decodeLogEntry(bytes);
}
