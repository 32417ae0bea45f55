/**
 * A laboratory of machines on one network, for tests with real programs. One interface, two kinds: `namespaces` (root: every
 * machine is a network namespace with its own addresses and its own /etc/ssh, sshd on port 22, dnsmasq for DNS) and `loopback`
 * (anybody: every machine is an address in 127.77.0.0/16, one free port for every sshd, a scripted DNS server).
 *
 * The test itself is on the network too: its HTTP requests come from `clientAddress`, or from any of `otherClients`.
 */
import { openLoopbackLab } from './lab-loopback.ts';
import { openNamespaceLab } from './lab-namespaces.ts';
import type { Program } from './programs.ts';

export type LabKind = 'namespaces' | 'loopback';

/** Addresses, or the name that an alias (CNAME) leads to, by name. */
export type LabZone = Readonly<Record<string, readonly string[] | { readonly alias: string }>>;

export interface Machine {
  readonly name: string;
  /** Where it can be dialled; never empty. */
  readonly addresses: readonly string[];
  /** The machine's own /etc/ssh or what stands for it: the path for the test, and the path as the machine sees it. */
  readonly ssh: { readonly outside: string; readonly inside: string };
  /** A directory that test and machine see under the same path. */
  readonly directory: string;
  /** The command line that runs `argv` on this machine. */
  command(argv: readonly string[]): Program;
}

export interface MachineOptions {
  /** How many IPv4 addresses. */
  readonly addresses?: number;
  /** One IPv6 address too, where the lab has IPv6 (`Lab.hasIpv6`). */
  readonly ipv6?: boolean;
}

export interface Lab extends AsyncDisposable {
  readonly kind: LabKind;
  readonly hasIpv6: boolean;
  /** Where sshd of every machine listens. */
  readonly sshPort: number;
  /** Where the CA listens; 0 for a free port. */
  readonly caPort: number;
  readonly clientAddress: string;
  /** Further addresses of the test, for requests that come from somebody else. */
  readonly otherClients: readonly string[];
  /** The range that all machines are in. */
  readonly network: string;
  /** A temporary directory that goes with the lab. */
  readonly directory: string;
  addMachine(name: string, options?: MachineOptions): Promise<Machine>;
  /** Replaces what DNS says; resolves when it says so. */
  setZone(zone: LabZone): Promise<void>;
  /** What has to stand in ca.toml so that the CA works in this lab, by section. */
  readonly caSettings: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The kinds that this user can have; `COUNTERSIGN_LAB=loopback` takes root only the second. */
export const labKinds: readonly LabKind[] =
  process.getuid?.() === 0 && process.env['COUNTERSIGN_LAB'] !== 'loopback' ? ['namespaces', 'loopback'] : ['loopback'];

/** Opens the best kind of lab there is, or the kind asked for. */
export async function openLab(kind: LabKind = labKinds[0] ?? 'loopback'): Promise<Lab> {
  return kind === 'namespaces' ? openNamespaceLab() : openLoopbackLab();
}
