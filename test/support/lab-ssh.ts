/** The `ssh` of a user of the laboratory: trusts one CA line, has one key, and is never asked anything. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Finished } from './ca.ts';
import { loginName } from './lab-sshd.ts';
import type { Lab, Machine } from './lab.ts';

export interface SshUser {
  readonly lab: Lab;
  /** Where ssh runs. */
  readonly machine: Machine;
  /** The whole known_hosts file. */
  readonly knownHosts: string;
  /** Private key file, its certificate beside it as `-cert.pub`. */
  readonly identity: string;
}

/** Runs `command` on a host by its name. Without a terminal, and in batch mode: whatever would be asked is a failure. */
export async function ssh(user: SshUser, host: { name: string; machine: Machine }, command: string): Promise<Finished> {
  const { lab, machine, knownHosts, identity } = user;
  const file = join(machine.directory, 'known_hosts');
  await writeFile(file, knownHosts);
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: file,
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    IdentityFile: identity,
    PreferredAuthentications: 'publickey',
    ConnectTimeout: '60',
    ...whereItIs(lab, host),
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const argv = machine.command(['ssh', '-F', 'none', ...words, `${loginName}@${host.name}`, command]);
  return execa(argv[0], argv.slice(1), { reject: false, stdin: 'ignore', timeout: 100_000 });
}

/** With namespaces DNS says where a name is; on loopback ssh has no DNS server of its own and is told. */
function whereItIs(lab: Lab, { name, machine }: { name: string; machine: Machine }): Record<string, string> {
  if (lab.kind === 'namespaces') return {};
  return { HostName: machine.addresses[0] ?? '', HostKeyAlias: name, Port: String(lab.sshPort) };
}
