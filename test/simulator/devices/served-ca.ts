/**
 * `countersign-ca serve` as a process of its own, asked over TLS on loopback: killed with SIGKILL, started again on the same store, its clock in
 * the test's hand (`shifted-clock.ts`). Nothing else about it is changed.
 */
import { writeFileSync, openSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from 'undici';
import { openSqliteReader } from '#ca-lite/store/sqlite-store.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { openConfig, storePath } from '#ca-lite/directory/open-config.ts';
import type { StoreReader } from '#ca-lite/store/store.ts';
import { type LabProcess, startProcess } from '../../support/lab-process.ts';
import { type Answer, PASSPHRASE } from './clock-ca.ts';

const root = join(import.meta.dirname, '../../..');
/** The CA limits what one address may do at once: requests come from so many. */
const ADDRESSES = 32;
const CONNECTIONS = 4;
/** On a machine that has much else to do. */
const START_SECONDS = 300;

export const lostConnection: Answer = { status: 0, code: 'unreachable', body: {}, headers: {}, raw: Buffer.alloc(0) };

export class ServedCa implements AsyncDisposable {
  readonly #directory: string;
  readonly #clockFile: string;
  readonly #passphraseFile: string;
  readonly #clock: number;
  readonly #agents: readonly Agent[];
  #offsetMs: number;
  #process: LabProcess | undefined;
  #port = 0;

  /**
   * @param within a directory for what it needs beside the CA's own
   * @param start epoch seconds: what its clock shows at first; it goes on by itself
   */
  constructor(directory: string, within: string, start: bigint) {
    this.#directory = directory;
    this.#clockFile = join(within, 'clock');
    this.#passphraseFile = join(within, 'passphrase');
    this.#offsetMs = Number(start) * 1000 - Date.now();
    writeFileSync(this.#passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
    writeFileSync(this.#clockFile, Buffer.alloc(8));
    this.#clock = openSync(this.#clockFile, 'r+');
    this.#writeClock();
    // Its TLS certificate is of the real time: this is about what goes through the connection.
    const open = (n: number) =>
      new Agent({ connect: { rejectUnauthorized: false }, localAddress: `127.9.0.${n + 1}`, connections: CONNECTIONS });
    this.#agents = Array.from({ length: ADDRESSES }, (_, n) => open(n));
  }

  /** Epoch seconds by the CA's clock. */
  get now(): bigint {
    return BigInt(Math.floor((Date.now() + this.#offsetMs) / 1000));
  }

  advance(seconds: bigint): void {
    this.#offsetMs += Number(seconds) * 1000;
    this.#writeClock();
  }

  async start(): Promise<void> {
    const program = [
      process.execPath,
      '--import',
      join(import.meta.dirname, 'shifted-clock.ts'),
      join(root, 'ca-lite/main.ts'),
    ];
    const args = ['serve', '--dir', this.#directory, '--passphrase-file', this.#passphraseFile, '--json'];
    const env = { COUNTERSIGN_CLOCK_FILE: this.#clockFile };
    this.#process = startProcess([...program, ...args], { env });
    await this.#process.until((one) => /^\}/m.test(one.stdout()), START_SECONDS);
    this.#port = (JSON.parse(this.#process.stdout()) as { port: number }).port;
  }

  /** SIGKILL: nothing is finished, nothing is said. */
  async kill(): Promise<void> {
    this.#process?.signal('SIGKILL');
    await this.#process?.ended;
    this.#process = undefined;
  }

  async post(path: string, payload: object, from: string): Promise<Answer> {
    return this.#ask('POST', path, from, payload);
  }

  async get(path: string): Promise<Answer> {
    return this.#ask('GET', path, '');
  }

  /** The store, read beside the server. */
  async openStore(): Promise<StoreReader> {
    const layout = caLayout(this.#directory);
    return openSqliteReader(storePath(layout, await openConfig(layout)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map(async (agent) => agent.destroy()));
    await this.#process?.stop();
    closeSync(this.#clock);
  }

  async #ask(method: 'GET' | 'POST', path: string, from: string, payload?: object): Promise<Answer> {
    const dispatcher = this.#agents[numberOf(from) % ADDRESSES];
    if (dispatcher === undefined || this.#process === undefined) return lostConnection;
    const content =
      payload === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(payload) };
    try {
      const origin = `https://127.0.0.1:${this.#port}`;
      const { statusCode: status, headers, body } = await dispatcher.request({ origin, method, path, ...content });
      const raw = Buffer.from(await body.arrayBuffer());
      const told = JSON.parse(raw.toString()) as Record<string, unknown>;
      return { status, headers, raw, body: told, code: typeof told['code'] === 'string' ? told['code'] : 'ok' };
    } catch (error) {
      // What undici says of a connection that broke, or is not there.
      if (error instanceof Error && 'code' in error) return lostConnection;
      throw error;
    }
  }

  #writeClock(): void {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(this.#offsetMs);
    writeSync(this.#clock, bytes, 0, 8, 0);
  }
}

/** The same for the same text. */
function numberOf(text: string): number {
  let sum = 0;
  for (const byte of Buffer.from(text)) sum = (sum * 31 + byte) >>> 0;
  return sum;
}
