/** The laboratory without privileges: machines are addresses of 127.77.0.0/16, all of them this one. Linux answers for all of 127.0.0.0/8. */
import { randomInt } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startDnsServer, zone as zoneScript } from '#test/simulator/dns/dns-server.ts';
import { freePort } from './free-port.ts';
import { makeLabDirectory } from './lab-directory.ts';
import type { Lab, LabZone, Machine } from './lab.ts';
import type { Program } from './programs.ts';

export async function openLoopbackLab(): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const directory = await makeLabDirectory();
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  let current: LabZone = {};
  const dns = stack.use(await startDnsServer((query) => zoneScript(current)(query)));
  const subnet = `127.77.${randomInt(1, 255)}`;
  const port = await freePort();
  let last = 9;
  const opened = stack.move();
  return {
    kind: 'loopback',
    hasIpv6: false,
    sshPort: port,
    caPort: 0,
    clientAddress: `${subnet}.1`,
    otherClients: [`${subnet}.4`, `${subnet}.5`],
    network: `${subnet}.0/24`,
    directory,
    caSettings: {
      dns: { servers: [dns.address] },
      enrolment: { insecure_allow_loopback: true, ports: [port] },
    },
    addMachine: async (name, { addresses = 1 } = {}) => {
      const own = Array.from({ length: addresses }, () => `${subnet}.${(last += 1)}`);
      return makeMachine(directory, name, own);
    },
    setZone: (zone) => {
      current = zone;
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: async () => opened.disposeAsync(),
  };
}

async function makeMachine(directory: string, name: string, addresses: readonly string[]): Promise<Machine> {
  const own = join(directory, 'machines', name);
  const ssh = join(own, 'ssh');
  await mkdir(ssh, { recursive: true, mode: 0o755 });
  return {
    name,
    addresses,
    directory: own,
    ssh: { outside: ssh, inside: ssh },
    command: (argv) => [...argv] as unknown as Program,
  };
}
