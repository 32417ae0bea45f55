/** dnsmasq as the DNS server of a laboratory: it answers for what a test says and for nothing else. Debian: dnsmasq-base. */
import { Resolver } from 'node:dns/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LabProcess, startProcess } from './lab-process.ts';
import type { LabZone, Machine } from './lab.ts';

/** Answered by every configuration, to see that the server is up. */
const CANARY = 'canary.lab.example';
/** On a machine that has much else to do. Until it listens each question comes back at once. */
const PATIENCE_MS = 60_000;

export class DnsmasqServer implements AsyncDisposable {
  readonly #machine: Machine;
  #process: LabProcess | undefined;
  #generation = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Starts it anew with these records, and waits until it answers with them. */
  async serve(zone: LabZone): Promise<void> {
    await this.#process?.stop();
    this.#generation += 1;
    const canary = `10.0.${this.#generation >> 8}.${this.#generation & 255}`;
    const hosts = join(this.#machine.directory, 'hosts');
    await writeFile(hosts, hostsFile({ ...zone, [CANARY]: [canary] }));
    const aliases = Object.entries(zone).flatMap(([name, entry]) =>
      'alias' in entry ? [`--cname=${name},${entry.alias}`] : [],
    );
    this.#process = startProcess(this.#machine.command(['dnsmasq', ...options, `--addn-hosts=${hosts}`, ...aliases]));
    await this.#untilItSays(canary);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop();
  }

  async #untilItSays(canary: string): Promise<void> {
    const resolver = new Resolver({ timeout: 200, tries: 1 });
    resolver.setServers([...this.#machine.addresses]);
    for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(20)) {
      const answer = await resolver.resolve4(CANARY).catch(() => []);
      if (answer[0] === canary) return;
      if (this.#process?.ending !== undefined) break;
    }
    throw new Error(`dnsmasq does not answer:\n${this.#process?.stderr() ?? ''}`);
  }
}

const options = [
  '--keep-in-foreground',
  '--conf-file=/dev/null',
  '--no-resolv',
  '--no-hosts',
  '--local=/lab.example/example.internal/',
  '--bind-interfaces',
  '--interface=eth0',
  '--user=root',
  '--pid-file=',
  '--log-facility=-',
  '--cache-size=0',
];

function hostsFile(zone: LabZone): string {
  const lines = Object.entries(zone).flatMap(([name, entry]) =>
    'alias' in entry ? [] : entry.map((a) => `${a} ${name}`),
  );
  return `${lines.join('\n')}\n`;
}
