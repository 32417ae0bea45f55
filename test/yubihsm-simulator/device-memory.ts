/**
 * What the device keeps when its power is cut: objects, sequence numbers, options and log. Saved to a file after every
 * change when there is one; written beside it and renamed, so a killed simulator leaves a whole file.
 *
 * The file holds private keys in the clear: the simulator is for development and tests, and for keys that are worth
 * nothing.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { pbkdf2Sync } from 'node:crypto';
import { AuditLog } from './audit-log.ts';
import { algorithm, everyCapability, types } from './numbers.ts';
import type { StoredObject } from './stored-object.ts';

const defaultLabel = 'DEFAULT AUTHKEY CHANGE THIS ASAP';

interface SavedMemory {
  note: string;
  serial: number;
  attestation?: { key: string; certificate: string } | undefined;
  objects: SavedObject[];
  sequences: [string, number][];
  log: {
    entries: { number: number; bytes: string }[];
    lastNumber: number;
    lastDigest: string;
    unloggedBoots: number;
    unloggedAuthentications: number;
    forceAudit: number;
    commandAudit: [number, number][];
  };
}

interface SavedObject {
  id: number;
  type: number;
  algorithm: number;
  label: string;
  domains: number;
  capabilities: string;
  delegated: string;
  sequence: number;
  origin: number;
  value: string;
}

/** The lasting half of a device. */
export class DeviceMemory {
  readonly #file: string | undefined;
  readonly #logsByDefault: boolean;
  serial: number;
  objects: StoredObject[] = [];
  log: AuditLog;
  /** The key and certificate for attestations that a device comes with, in base64; made when first used. */
  attestation: { key: string; certificate: string } | undefined;
  #sequences = new Map<string, number>();

  constructor(options: { file?: string | undefined; serial: number; logsByDefault: boolean }) {
    this.#file = options.file;
    this.#logsByDefault = options.logsByDefault;
    this.serial = options.serial;
    this.log = new AuditLog();
    if (this.#file !== undefined && existsSync(this.#file)) this.#load(readFileSync(this.#file, 'utf8'));
    else this.reset();
  }

  /** Back to what leaves the factory: one authentication key, id 1, password `password`. */
  reset(): void {
    this.#sequences.clear();
    this.log = AuditLog.afterReset(this.#logsByDefault);
    this.objects = [
      {
        id: 1,
        type: types.authenticationKey,
        algorithm: algorithm.authentication,
        label: Buffer.concat([Buffer.from(defaultLabel), Buffer.alloc(40 - defaultLabel.length)]),
        domains: 0xffff,
        capabilities: everyCapability,
        delegated: everyCapability,
        sequence: 0,
        origin: 2,
        value: pbkdf2Sync('password', 'Yubico', 10_000, 32, 'sha256'),
      },
    ];
    this.save();
  }

  find(id: number, type: number): StoredObject | undefined {
    return this.objects.find((object) => object.id === id && object.type === type);
  }

  /** Adds an object and gives it its sequence number. */
  add(object: Omit<StoredObject, 'sequence'>): void {
    const key = `${object.type}:${object.id}`;
    const sequence = ((this.#sequences.get(key) ?? -1) + 1) & 0xff;
    this.#sequences.set(key, sequence);
    this.objects.push({ ...object, sequence });
    this.save();
  }

  remove(object: StoredObject): void {
    this.objects = this.objects.filter((each) => each !== object);
    this.save();
  }

  save(): void {
    if (this.#file === undefined) return;
    const next = `${this.#file}.next`;
    writeFileSync(next, `${JSON.stringify(this.#saved(), undefined, 1)}\n`, { mode: 0o600 });
    renameSync(next, this.#file);
  }

  #saved(): SavedMemory {
    const { log } = this;
    return {
      note: 'State of the YubiHSM simulator. It holds private keys in the clear: for development and tests only.',
      serial: this.serial,
      attestation: this.attestation,
      objects: this.objects.map((object) => ({
        ...object,
        label: object.label.toString('base64'),
        capabilities: object.capabilities.toString(16),
        delegated: object.delegated.toString(16),
        value: object.value.toString('base64'),
      })),
      sequences: [...this.#sequences],
      log: {
        entries: log.entries.map(({ number, bytes }) => ({ number, bytes: bytes.toString('base64') })),
        lastNumber: log.lastNumber,
        lastDigest: log.lastDigest.toString('base64'),
        unloggedBoots: log.unloggedBoots,
        unloggedAuthentications: log.unloggedAuthentications,
        forceAudit: log.forceAudit,
        commandAudit: [...log.commandAudit],
      },
    };
  }

  #load(text: string): void {
    const saved = JSON.parse(text) as SavedMemory;
    this.serial = saved.serial;
    this.attestation = saved.attestation;
    this.#sequences = new Map(saved.sequences);
    this.objects = saved.objects.map((object) => ({
      ...object,
      label: Buffer.from(object.label, 'base64'),
      capabilities: BigInt(`0x${object.capabilities}`),
      delegated: BigInt(`0x${object.delegated}`),
      value: Buffer.from(object.value, 'base64'),
    }));
    Object.assign(this.log, saved.log, {
      entries: saved.log.entries.map(({ number, bytes }) => ({ number, bytes: Buffer.from(bytes, 'base64') })),
      lastDigest: Buffer.from(saved.log.lastDigest, 'base64'),
      commandAudit: new Map(saved.log.commandAudit),
    });
  }
}
