/**
 * The laboratory of root: a bridge, and a network namespace for each machine. `ip netns exec` binds the files of
 * /etc/netns/NAMESPACE over those of /etc, so that every machine has its own resolv.conf, hosts and /etc/ssh.
 *
 * The number of the bridge (`cslab0` to `cslab255`) is the number of the network, 10.77.NUMBER.0/24, and claims it. Its alias is the
 * process id of the owner: what a killed test run left behind is taken away by the next.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { isAlive, makeLabDirectory } from './lab-directory.ts';
import { DnsmasqServer } from './lab-dnsmasq.ts';
import type { Lab, Machine, MachineOptions } from './lab.ts';
import type { Program } from './programs.ts';

const NETWORKS = 256;
const CONFIG_ROOT = '/etc/netns';

export async function openNamespaceLab(): Promise<Lab> {
  await sweep();
  await using stack = new AsyncDisposableStack();
  const network = await claimNetwork();
  stack.defer(async () => removeNetwork(network));
  const directory = await makeLabDirectory();
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const builder = new NamespaceBuilder(network, directory);
  await builder.raiseBridge([1, 4, 5]);
  const dns = stack.use(new DnsmasqServer(await builder.add('dns', { addresses: 1 }, 3)));
  const opened = stack.move();
  return {
    kind: 'namespaces',
    hasIpv6: builder.hasIpv6,
    sshPort: 22,
    caPort: 8443,
    clientAddress: builder.address(1),
    otherClients: [builder.address(4), builder.address(5)],
    network: `10.77.${network}.0/24`,
    directory,
    caSettings: {},
    addMachine: async (name, options) => builder.add(name, options),
    setZone: async (zone) => dns.serve(zone),
    [Symbol.asyncDispose]: async () => opened.disposeAsync(),
  };
}

class NamespaceBuilder {
  readonly hasIpv6 = existsSync('/proc/net/if_inet6');
  readonly #network: number;
  readonly #directory: string;
  #last = 9;
  #links = 0;

  constructor(network: number, directory: string) {
    this.#network = network;
    this.#directory = directory;
  }

  address(host: number): string {
    return `10.77.${this.#network}.${host}`;
  }

  async raiseBridge(hosts: readonly number[]): Promise<void> {
    const bridge = bridgeName(this.#network);
    for (const host of hosts) await ip('addr', 'add', `${this.address(host)}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
  }

  /** @param fixed the last byte of its address, for machines that others have to know beforehand */
  async add(name: string, { addresses = 1, ipv6 = false }: MachineOptions = {}, fixed?: number): Promise<Machine> {
    const namespace = `${bridgeName(this.#network)}-${name}`;
    const hosts = Array.from({ length: addresses }, () => fixed ?? (this.#last += 1));
    const own = hosts.map((host) => this.address(host));
    if (ipv6 && this.hasIpv6) own.push(`fd77:${this.#network.toString(16)}::${hosts[0]}`);
    await this.#connect(namespace, own);
    const config = join(CONFIG_ROOT, namespace);
    await mkdir(join(config, 'ssh'), { recursive: true, mode: 0o755 });
    await writeFile(join(config, 'resolv.conf'), `nameserver ${this.address(3)}\noptions timeout:2 attempts:1\n`);
    await writeFile(join(config, 'hosts'), '127.0.0.1 localhost\n');
    const directory = join(this.#directory, 'machines', name);
    await mkdir(directory, { recursive: true });
    return {
      name,
      addresses: own,
      directory,
      ssh: { outside: join(config, 'ssh'), inside: '/etc/ssh' },
      command: (argv) => ['ip', 'netns', 'exec', namespace, ...argv] as Program,
    };
  }

  async #connect(namespace: string, addresses: readonly string[]): Promise<void> {
    const link = `${bridgeName(this.#network)}v${(this.#links += 1)}`;
    await ip('netns', 'add', namespace);
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('link', 'set', link, 'master', bridgeName(this.#network), 'up');
    for (const address of addresses) {
      const options = address.includes(':')
        ? [`${address}/64`, 'dev', 'eth0', 'nodad']
        : [`${address}/24`, 'dev', 'eth0'];
      await ip('-n', namespace, 'addr', 'add', ...options);
    }
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }
}

async function claimNetwork(): Promise<number> {
  for (let network = 0; network < NETWORKS; network += 1) {
    const { failed } = await execa('ip', ['link', 'add', bridgeName(network), 'type', 'bridge'], { reject: false });
    if (failed) continue;
    await ip('link', 'set', 'dev', bridgeName(network), 'alias', String(process.pid));
    return network;
  }
  throw new Error(
    `no network is free for the laboratory: ip link shows ${bridgeName(0)} to ${bridgeName(NETWORKS - 1)}`,
  );
}

/** Takes away what a test run that is no more has left: its processes ended with it. */
async function sweep(): Promise<void> {
  for (const { ifname, ifalias } of await bridges()) {
    const network = /^cslab(\d+)$/.exec(ifname)?.[1];
    if (network === undefined || ifalias === undefined || isAlive(Number(ifalias))) continue;
    await removeNetwork(Number(network));
  }
}

async function bridges(): Promise<{ ifname: string; ifalias?: string }[]> {
  const { stdout } = await execa('ip', ['-json', 'link', 'show', 'type', 'bridge'], { reject: false });
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as { ifname: string; ifalias?: string }[]);
}

async function removeNetwork(network: number): Promise<void> {
  const prefix = `${bridgeName(network)}-`;
  for (const namespace of await namesIn('/run/netns')) {
    if (namespace.startsWith(prefix)) await execa('ip', ['netns', 'del', namespace], { reject: false });
  }
  for (const config of await namesIn(CONFIG_ROOT)) {
    if (config.startsWith(prefix)) await rm(join(CONFIG_ROOT, config), { recursive: true, force: true });
  }
  await execa('ip', ['link', 'del', bridgeName(network)], { reject: false });
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

function bridgeName(network: number): string {
  return `cslab${network}`;
}

async function ip(...args: string[]): Promise<void> {
  await execa('ip', args);
}
