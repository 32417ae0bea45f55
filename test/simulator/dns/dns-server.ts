/**
 * A DNS server that says what a test tells it to, over UDP and TCP on one free port of 127.0.0.1 or another address. Messages are encoded by
 * `dns-packet`. It knows no zones: a script sees each question, and how often it was asked, and gives the reply.
 */
import { once } from 'node:events';
import { type Socket as UdpSocket, createSocket } from 'node:dgram';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import * as dns from 'dns-packet';

export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED';
const rcodes: Readonly<Record<Rcode, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

export interface Reply {
  readonly answers?: readonly dns.Answer[];
  readonly rcode?: Rcode;
  /** Milliseconds to wait before the reply. */
  readonly delay?: number;
  /** Over UDP: no answers and the TC bit, so that the client comes back over TCP. */
  readonly truncated?: boolean;
}

export interface Query {
  readonly name: string;
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
  /** 1 for the first time this name and type are asked for, over any transport. */
  readonly count: number;
}

/** `undefined` is no reply at all; bytes are sent as they are. */
export type Script = (query: Query) => Reply | Uint8Array | undefined;

export interface DnsServer extends AsyncDisposable {
  /** As `setServers` takes it. */
  readonly address: string;
  readonly queries: readonly Query[];
}

export async function startDnsServer(script: Script, { host = '127.0.0.1' } = {}): Promise<DnsServer> {
  const state = new Conversation(script);
  const tcp = createServer((socket) => state.serveTcp(socket));
  const udp = await listenOnBoth(tcp, host);
  udp.on('message', (message, peer) => {
    state.handle(message, 'udp', (reply) => udp.send(reply, peer.port, peer.address));
  });
  const { port } = tcp.address() as AddressInfo;
  return {
    address: `${host}:${port}`,
    queries: state.queries,
    [Symbol.asyncDispose]: async () => {
      state.stop();
      udp.close();
      tcp.close();
      await Promise.all([once(udp, 'close'), once(tcp, 'close')]);
    },
  };
}

/** A port that is free for both; another process may have the UDP one of a TCP port that is free. */
async function listenOnBoth(tcp: Server, host: string): Promise<UdpSocket> {
  for (;;) {
    tcp.listen(0, host);
    await once(tcp, 'listening');
    const udp = createSocket('udp4');
    try {
      udp.bind((tcp.address() as AddressInfo).port, host);
      await once(udp, 'listening');
      return udp;
    } catch {
      udp.close();
      tcp.close();
      await once(tcp, 'close');
    }
  }
}

class Conversation {
  readonly queries: Query[] = [];
  readonly #script: Script;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(script: Script) {
    this.#script = script;
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  handle(message: Buffer, transport: Query['transport'], send: (reply: Uint8Array) => void): void {
    const packet = dns.decode(message);
    const question = packet.questions?.[0];
    if (question === undefined) return;
    const same = this.queries.filter(({ name, type }) => name === question.name && type === question.type);
    const query: Query = { name: question.name, type: question.type, transport, count: same.length + 1 };
    this.queries.push(query);
    const reply = this.#script(query);
    if (reply === undefined) return;
    if (reply instanceof Uint8Array) send(reply);
    else this.#later(reply.delay ?? 0, () => send(encode(packet.id ?? 0, question, reply, transport)));
  }

  serveTcp(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => socket.destroy());
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        this.handle(pending.subarray(2, end), 'tcp', (reply) => {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          socket.write(Buffer.concat([length, reply]));
        });
        pending = pending.subarray(end);
      }
    });
  }

  #later(milliseconds: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, milliseconds);
    this.#timers.add(timer);
  }
}

function encode(id: number, question: dns.Question, reply: Reply, transport: Query['transport']): Uint8Array {
  const truncate = reply.truncated === true && transport === 'udp';
  const flags = rcodes[reply.rcode ?? 'NOERROR'] | dns.RECURSION_DESIRED | dns.RECURSION_AVAILABLE;
  return dns.encode({
    type: 'response',
    id,
    flags: truncate ? flags | dns.TRUNCATED_RESPONSE : flags,
    questions: [question],
    answers: truncate ? [] : [...(reply.answers ?? [])],
  });
}

/** A and AAAA records of one name, for {@link Reply.answers}. */
export function addressRecords(name: string, addresses: readonly string[], type: string): dns.Answer[] {
  const fitting = addresses.filter((address) => address.includes(':') === (type === 'AAAA'));
  if (type !== 'A' && type !== 'AAAA') return [];
  return fitting.map((data) => ({ type, name, ttl: 0, data }));
}

/** A script of fixed names: addresses, or one alias, by name. Names that are not in it do not exist. */
export function zone(records: Readonly<Record<string, readonly string[] | { readonly alias: string }>>): Script {
  return ({ name, type }) => {
    const entry = records[name.toLowerCase()];
    if (entry === undefined) return { rcode: 'NXDOMAIN' };
    if (!('alias' in entry)) return { answers: addressRecords(name, entry, type) };
    return { answers: [{ type: 'CNAME', name, ttl: 0, data: entry.alias }] };
  };
}
