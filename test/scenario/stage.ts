/** The stage of a scenario: a laboratory with a CA that serves, honest hosts on demand, and what it takes to see that a refusal was one. */
import { expect } from 'vitest';
import { type ApiErrorCode, errorStatuses } from '#protocol/api-error.ts';
import type { AuditEntry } from '#ca-lite/audit/entry.ts';
import type { StoreReader } from '#ca-lite/store/store.ts';
import { type CaSettings, type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import { type Answer, type Claim, EnrolmentClient, type HostKeyPair } from '#test/support/enrolment-client.ts';
import { type LabSshd, type LabSshdOptions, startLabSshd } from '#test/support/lab-sshd.ts';
import { type Lab, type LabKind, type LabZone, type Machine, type MachineOptions, openLab } from '#test/support/lab.ts';
import { type ProgramKind, caProgram } from '#test/support/programs.ts';
import { join } from 'node:path';

export interface StageOptions {
  readonly lab?: LabKind;
  readonly programs?: ProgramKind;
  readonly settings?: CaSettings;
}

/** A host that may enrol: its sshd runs and DNS has its name. */
export interface HonestHost {
  readonly name: string;
  readonly machine: Machine;
  readonly sshd: LabSshd;
  readonly key: HostKeyPair;
  readonly claim: Claim;
}

export class Stage implements AsyncDisposable {
  readonly lab: Lab;
  readonly ca: RunningCa;
  readonly store: StoreReader;
  readonly client: EnrolmentClient;
  readonly #stack: AsyncDisposableStack;
  #zone: LabZone = {};

  constructor(parts: {
    lab: Lab;
    ca: RunningCa;
    store: StoreReader;
    client: EnrolmentClient;
    stack: AsyncDisposableStack;
  }) {
    this.lab = parts.lab;
    this.ca = parts.ca;
    this.store = parts.store;
    this.client = parts.client;
    this.#stack = parts.stack;
  }

  /** Is disposed of with the stage. */
  use<T extends AsyncDisposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** Adds names to DNS, or changes them. */
  async setNames(zone: LabZone): Promise<void> {
    this.#zone = { ...this.#zone, ...zone };
    await this.lab.setZone(this.#zone);
  }

  /** @param label the first label of its name */
  async addHost(label: string, options: LabSshdOptions & MachineOptions = {}): Promise<HonestHost> {
    const name = `${label}.lab.example`;
    const machine = await this.lab.addMachine(label, options);
    const sshd = this.use(await startLabSshd(this.lab, machine, options));
    await this.setNames({ [name]: machine.addresses });
    const key = keyOf(sshd);
    return { name, machine, sshd, key, claim: this.claimOf(name, machine.addresses, key) };
  }

  claimOf(name: string, addresses: readonly string[], key: Pick<HostKeyPair, 'fingerprint'>): Claim {
    return { names: [name], addresses, fingerprint: key.fingerprint, port: this.lab.sshPort };
  }

  /** A client at another address, or of another CA. */
  async clientOf({ ca = this.ca, from = this.lab.clientAddress }: { ca?: RunningCa; from?: string }) {
    return this.use(new EnrolmentClient({ url: ca.url, rootPem: await ca.ca.rootPem(), localAddress: from }));
  }

  /** The same CA with other settings, beside the first, on a port and a store of its own. */
  async serveCopy(name: string, settings: CaSettings): Promise<RunningCa> {
    const listen = { '': { address: `${this.ca.ca.address}:0` } };
    const copy = await this.ca.ca.copy(join(this.lab.directory, name), { ...listen, ...settings });
    return this.use(await copy.serve());
  }

  /** Audit entries since a moment that `auditHead` told, oldest first. */
  async auditSince(sequence: bigint): Promise<readonly AuditEntry[]> {
    return this.store.auditFrom(sequence + 1n, 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

export async function openStage({ lab: kind, programs, settings = {} }: StageOptions = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab(kind));
  const machine = await lab.addMachine('ca', { ipv6: true });
  const options = { within: `${lab.directory}/authority`, machine, port: lab.caPort, quick: true };
  const merged = mergeSettings(lab.caSettings, settings);
  const testCa: TestCa = await makeCa({ ...options, settings: [merged], program: caProgram(programs) });
  const ca = stack.use(await testCa.serve());
  const store = stack.use(await testCa.openStore());
  const client = new EnrolmentClient({ url: ca.url, rootPem: await testCa.rootPem(), localAddress: lab.clientAddress });
  stack.use(client);
  await lab.setZone({});
  return new Stage({ lab, ca, store, client, stack: stack.move() });
}

export function mergeSettings(...all: readonly CaSettings[]): CaSettings {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const [section, values] of all.flatMap((one) => Object.entries(one))) {
    merged[section] = { ...merged[section], ...values };
  }
  return merged;
}

export function keyOf({ hostKeys }: LabSshd, index = 0): HostKeyPair {
  return hostKeys[index] ?? expect.unreachable();
}

/** What a refusal must leave as it was. */
async function storedIn(store: StoreReader): Promise<object> {
  const { certificates, hosts, singleUse } = await store.counts();
  return { certificates, hosts, singleUse };
}

/**
 * Makes one request that has to be refused with `code`: the answer says so, the audit log says so under the same request id, and
 * nothing else was stored.
 */
export async function expectRefused(
  { store }: Pick<Stage, 'store'>,
  code: ApiErrorCode,
  request: () => Promise<Answer>,
): Promise<Answer> {
  const [before, head] = [await storedIn(store), await store.auditHead()];
  const answer = await request();
  expect({ status: answer.status, code: answer.json?.code }).toEqual({ status: errorStatuses[code], code });
  expect(answer.json?.status).toBe(answer.status);
  expect(answer.json?.message?.length).toBeGreaterThan(20);
  const entries = await store.auditFrom(head.count + 1n, 10);
  expect(entries.map(({ outcome, subject }) => [outcome, subject.requestId])).toEqual([
    ['refused', answer.json?.requestId],
  ]);
  expect(auditCodes(code)).toContain(entries[0]?.code);
  expect(await storedIn(store)).toEqual(before);
  return answer;
}

/** The store names what it found in its own words, which can say more than a stranger is told. */
const storeCodes: Partial<Record<ApiErrorCode, readonly string[]>> = {
  'challenge-used': ['nonce-used'],
  'already-enrolled': ['host-already-enrolled', 'already-enrolled'],
  'token-invalid': ['token-invalid', 'token-unknown'],
};

function auditCodes(code: ApiErrorCode): readonly string[] {
  return storeCodes[code] ?? [code];
}
