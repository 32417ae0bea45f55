/**
 * Servers of attackers on a machine of a laboratory, in a process of their own: test/simulator/hostile-ssh has what they do.
 * Run as a program it serves until it is killed: `node lab-server.ts '{"host":..,"port":..,"behaviour":..}'`. It prints `listening`,
 * then `accepted` for each connection.
 */
import ssh2 from 'ssh2';
import { floodsBannerLines, floodsIgnore, silent, speaksHttp, tarpit } from '#test/simulator/hostile-ssh/attackers.ts';
import { forgedKey, servesKeys } from '#test/simulator/hostile-ssh/key-servers.ts';
import { startTcpServer } from '#test/simulator/hostile-ssh/tcp-server.ts';
import { type LabProcess, startProcess } from './lab-process.ts';
import type { Lab, Machine } from './lab.ts';

export type Behaviour =
  | { readonly kind: 'silent' | 'floodsBannerLines' | 'floodsIgnore' | 'speaksHttp' }
  /** One byte of its text every so often, for ever. */
  | { readonly kind: 'tarpit'; readonly periodMilliseconds: number; readonly text: string }
  /** Shows the public key of `shown` and signs with `owned`; both are private keys in OpenSSH's format. */
  | { readonly kind: 'forges'; readonly shown: string; readonly owned: string }
  /** Has one key for each connection, in this order; the last one for all that follow. */
  | { readonly kind: 'changes'; readonly keys: readonly string[] };

export interface LabServer extends AsyncDisposable {
  readonly process: LabProcess;
  /** Connections so far. */
  accepted(): number;
}

interface Order {
  readonly host: string;
  readonly port: number;
  readonly behaviour: Behaviour;
}

/** Starts it on the first address of the machine, where sshd would be. */
export async function startLabServer(lab: Lab, machine: Machine, behaviour: Behaviour): Promise<LabServer> {
  const order: Order = { host: machine.addresses[0] ?? '', port: lab.sshPort, behaviour };
  const process = startProcess(machine.command([nodePath(), import.meta.filename, JSON.stringify(order)]));
  await process.until((one) => one.stdout().startsWith('listening'));
  return {
    process,
    accepted: () => process.stdout().match(/accepted/g)?.length ?? 0,
    [Symbol.asyncDispose]: async () => process[Symbol.asyncDispose](),
  };
}

function nodePath(): string {
  return process.execPath;
}

const simple = { silent, floodsBannerLines, floodsIgnore, speaksHttp };

type Serve = Parameters<typeof startTcpServer>[0];

function serverOf(behaviour: Behaviour): Serve {
  switch (behaviour.kind) {
    case 'tarpit':
      return tarpit(behaviour.periodMilliseconds, behaviour.text);
    case 'forges':
      return servesKeys(() => [forgedKey(keyOf(behaviour.shown), keyOf(behaviour.owned))]);
    case 'changes':
      return servesKeys((connection) => [keyOf(behaviour.keys[connection - 1] ?? behaviour.keys.at(-1) ?? '')]);
    default:
      return simple[behaviour.kind];
  }
}

function keyOf(text: string) {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

if (import.meta.main) {
  const { host, port, behaviour } = JSON.parse(process.argv[2] ?? '') as Order;
  const serve = serverOf(behaviour);
  await startTcpServer(
    (socket, connection) => {
      process.stdout.write('accepted\n');
      serve(socket, connection);
    },
    { host, port },
  );
  process.stdout.write('listening\n');
}
