/**
 * One token of a PKCS#11 module: one session, logged in, with the keys that were asked for. Signatures are made one after
 * the other, off the event loop, users before hosts.
 *
 * When the token was pulled, restarted or has forgotten the session, everything is opened again and the signature tried
 * exactly once more: it is over the same bytes, and verified before it leaves.
 */
import type Pkcs11Js from 'pkcs11js';
import { CommandQueue, type Job, type Priority } from '../yubihsm/command-queue.ts';
import { HsmError, isHsmError } from '../yubihsm/errors.ts';
import { loadPkcs11 } from './addon.ts';
import type { KeyAttributes, TokenRequest } from './mechanism.ts';

/** Which token, and how to get in. */
export interface TokenSettings {
  /** The module's file, such as `/usr/lib/softhsm/libsofthsm2.so`. */
  module: string;
  /** The token's label. */
  label: string;
  pin: string;
  /** Signatures that may wait in each priority; 1,000 when not given. */
  maxWaiting?: number;
}

/** Which key: by label, by CKA_ID, or by both. */
export interface KeyName {
  label?: string | undefined;
  id?: Uint8Array | undefined;
}

/** CKR_ values after which the session, the token or the module is gone. */
const lost = new Set([
  0x005, // CKR_GENERAL_ERROR
  0x030, // CKR_DEVICE_ERROR
  0x032, // CKR_DEVICE_REMOVED
  0x060, // CKR_KEY_HANDLE_INVALID
  0x082, // CKR_OBJECT_HANDLE_INVALID
  0x0b0, // CKR_SESSION_CLOSED
  0x0b3, // CKR_SESSION_HANDLE_INVALID
  0x0e0, // CKR_TOKEN_NOT_PRESENT
  0x101, // CKR_USER_NOT_LOGGED_IN
  0x190, // CKR_CRYPTOKI_NOT_INITIALIZED
]);
const alreadyInitialized = 0x191;
const alreadyLoggedIn = 0x100;
const userPin = 1;
/** CKO_ and CKA_ values. */
const objectClass = { publicKey: 2, privateKey: 3 } as const;
const attribute = {
  class: 0x000,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  modulus: 0x120,
  exponent: 0x122,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;

interface Work {
  key: KeyName;
  request: TokenRequest;
}

/** An open token. Disposing logs out and closes the module. */
export class Token implements AsyncDisposable {
  readonly #settings: TokenSettings;
  readonly #queue: CommandQueue<Work>;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #api: typeof Pkcs11Js;
  #module: Pkcs11Js.PKCS11 | undefined;
  #session: Buffer | undefined;

  /** Opens the module and logs in. Throws {@link HsmError}. */
  constructor(settings: TokenSettings) {
    this.#settings = settings;
    this.#queue = new CommandQueue({ maxWaiting: settings.maxWaiting ?? 1000 });
    this.#api = loadPkcs11();
    this.#open();
    this.#running = this.#work();
  }

  /** The public attributes of a key. Throws {@link HsmError} `bad-input` when there is no such key. */
  attributes(name: KeyName): KeyAttributes {
    const key = this.#find(objectClass.publicKey, name);
    const keyType = this.#read(key, attribute.keyType)?.readUInt32LE() ?? -1;
    const present = {
      modulus: this.#read(key, attribute.modulus),
      exponent: this.#read(key, attribute.exponent),
      ecParams: this.#read(key, attribute.ecParams),
      ecPoint: this.#read(key, attribute.ecPoint),
    };
    const told = Object.entries(present).filter(([, value]) => value !== undefined);
    return { keyType, ...(Object.fromEntries(told) as Omit<KeyAttributes, 'keyType'>) };
  }

  /** Signs when its turn comes. Throws {@link HsmError}, `HsmOverloadedError`. */
  async sign(
    key: KeyName,
    request: TokenRequest,
    options: { priority: Priority; signal?: AbortSignal },
  ): Promise<Uint8Array> {
    return (await this.#queue.add({ key, request }, options.priority, options.signal)) as Uint8Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.close();
    this.#stop.abort();
    await this.#running;
    this.#close();
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const job = this.#queue.take();
      if (job === undefined) await this.#queue.ready(this.#stop.signal);
      else await this.#run(job);
    }
  }

  async #run(job: Job<Work>): Promise<void> {
    const start = performance.now();
    job.attempts++;
    try {
      if (this.#session === undefined) this.#open();
      job.resolve(await this.#signNow(job.work));
      this.#queue.measured(performance.now() - start);
    } catch (error) {
      // A token whose keys have vanished may have been taken away while its module still answers for it.
      const gone = lost.has(codeOf(error)) || isHsmError(error, 'bad-input');
      if (gone) this.#close();
      if (gone && job.attempts < 2) this.#queue.putBack(job);
      else job.reject(explain(error));
    }
  }

  async #signNow({ key, request }: Work): Promise<Uint8Array> {
    const privateKey = this.#find(objectClass.privateKey, key);
    const { mechanism, input, maxLength } = request;
    this.#opened.module.C_SignInit(this.#opened.session, { mechanism }, privateKey);
    const buffer = Buffer.alloc(maxLength);
    const signature = await this.#opened.module.C_SignAsync(this.#opened.session, Buffer.from(input), buffer);
    return new Uint8Array(signature);
  }

  get #opened(): { module: Pkcs11Js.PKCS11; session: Buffer } {
    if (this.#module === undefined || this.#session === undefined) throw new HsmError('session-lost', 'not logged in');
    return { module: this.#module, session: this.#session };
  }

  #open(): void {
    this.#close();
    try {
      this.#module = new this.#api.PKCS11();
      this.#module.load(this.#settings.module);
      const module = this.#module;
      ignoring(alreadyInitialized, () => module.C_Initialize());
      this.#session = this.#login(this.#module);
    } catch (error) {
      this.#close();
      throw explain(error);
    }
  }

  #login(module: Pkcs11Js.PKCS11): Buffer {
    const slot = module
      .C_GetSlotList(true)
      .find((each) => module.C_GetTokenInfo(each).label.trim() === this.#settings.label);
    if (slot === undefined) {
      throw new HsmError('unavailable', `the module has no token with the label "${this.#settings.label}"`);
    }
    const session = module.C_OpenSession(slot, this.#api.CKF_SERIAL_SESSION);
    ignoring(alreadyLoggedIn, () => module.C_Login(session, userPin, this.#settings.pin));
    return session;
  }

  #close(): void {
    const module = this.#module;
    this.#module = undefined;
    this.#session = undefined;
    if (module === undefined) return;
    try {
      module.C_Finalize();
    } catch {
      // The module or its token is gone already; there is nothing left to close.
    }
    module.close();
  }

  #find(objectKind: number, { label, id }: KeyName): Buffer {
    const { module, session } = this.#opened;
    module.C_FindObjectsInit(session, [
      { type: attribute.class, value: objectKind },
      ...(label === undefined ? [] : [{ type: attribute.label, value: label }]),
      ...(id === undefined ? [] : [{ type: attribute.id, value: Buffer.from(id) }]),
    ]);
    const found = module.C_FindObjects(session, 2);
    module.C_FindObjectsFinal(session);
    if (found.length === 1) return found[0]!;
    const name = label === undefined ? `id ${Buffer.from(id ?? []).toString('hex')}` : `label "${label}"`;
    throw new HsmError(
      'bad-input',
      `the token has ${found.length === 0 ? 'no' : 'more than one'} key with the ${name}`,
    );
  }

  #read(key: Buffer, type: number): Buffer | undefined {
    try {
      const [read] = this.#opened.module.C_GetAttributeValue(this.#opened.session, key, [{ type }]);
      return Buffer.isBuffer(read?.value) ? read.value : undefined;
    } catch (error) {
      if (lost.has(codeOf(error))) throw explain(error);
      return undefined;
    }
  }
}

/** Two openings of one token in one process share its initialisation and its login. */
function ignoring(code: number, call: () => void): void {
  try {
    call();
  } catch (error) {
    if (codeOf(error) !== code) throw error;
  }
}

function codeOf(error: unknown): number {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? code : -1;
}

const reasons: Readonly<Record<number, string>> = {
  0x0a0: 'the PIN is wrong',
  0x0a4: 'the PIN is locked',
  0x063: 'the key does not allow this mechanism',
  0x068: 'the key may not be used to sign',
  0x070: 'the token does not have this mechanism',
  0x032: 'the token was removed',
  0x0e0: 'the token is not there',
};

function explain(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof HsmError || !(error instanceof Error)) return error;
  const reason = reasons[code] ?? `the PKCS#11 module failed (0x${code.toString(16)})`;
  const refused = [0x063, 0x068, 0x070].includes(code);
  return new HsmError(refused ? 'device-insufficient-permissions' : 'unavailable', reason, { cause: error });
}
