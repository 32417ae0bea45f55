/** Step 2 under attack: DNS that says something else, servers that are not the host, policy. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startDnsServer, addressRecords } from '#test/simulator/dns/dns-server.ts';
import type { RunningCa } from '#test/support/ca.ts';
import { type Claim, EnrolmentClient, bodyOf, prove } from '#test/support/enrolment-client.ts';
import { type Behaviour, startLabServer } from '#test/support/lab-server.ts';
import { startLabSshd } from '#test/support/lab-sshd.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, expectRefused, openStage } from './stage.ts';

let stage: Stage;
/** An enrollable host, for attackers to pose as. */
let victim: HonestHost;

beforeAll(async () => {
  stage = await openStage({ settings: { dial_back: { timeout: '60s' }, dns: { timeout: '30s' } } });
  victim = await stage.addHost('victim');
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

/** An attacker's server on a machine of its own, under a name of its own. */
async function addServer(label: string, behaviour: Behaviour) {
  const name = `${label}.lab.example`;
  const machine = await stage.lab.addMachine(label);
  const server = stage.use(await startLabServer(stage.lab, machine, behaviour));
  await stage.setNames({ [name]: machine.addresses });
  return { name, machine, server, claim: stage.claimOf(name, machine.addresses, victim.key) };
}

async function privateKeyOf({ sshd, machine }: HonestHost): Promise<string> {
  return readFile(join(machine.ssh.outside, sshd.keyNames[0] ?? ''), 'utf8');
}

/** Holds whoever dials for as long as they stay. */
const tarpit: Behaviour = {
  kind: 'tarpit',
  periodMilliseconds: 1000,
  text: 'SSH-2.0-OpenSSH_9.2p1 and so on, byte by byte, for as long as anybody listens',
};

const challenge =
  (claim: Claim, client: EnrolmentClient = stage.client) =>
  async () =>
    client.challenge(claim);

describe('DNS', () => {
  holds('name-elsewhere', async () => {
    const attacker = await stage.addHost('attacker');
    await expectRefused(stage, 'name-address-mismatch', challenge({ ...attacker.claim, names: [victim.name] }));
    const both = { ...attacker.claim, names: [attacker.name, victim.name] };
    await expectRefused(stage, 'name-address-mismatch', challenge(both));
  });

  holds('name-unknown', async () => {
    const claim = { ...victim.claim, names: ['nobody.lab.example'] };
    await expectRefused(stage, 'name-not-found', challenge(claim));
  });

  holds('name-incomplete', async () => {
    const host = await stage.addHost('half', { addresses: 2 });
    const [first = ''] = host.machine.addresses;
    await expectRefused(stage, 'name-address-mismatch', challenge({ ...host.claim, addresses: [first] }));
    expect((await stage.client.challenge(host.claim)).status).toBe(200);
  });

  holds('name-alias', async () => {
    const [address = ''] = victim.machine.addresses;
    const other = await stage.addHost('elsewhere');
    await stage.setNames({ 'alias.lab.example': { alias: victim.name } });
    const claim = { ...victim.claim, names: ['alias.lab.example'] };
    expect((await stage.client.challenge(claim)).status).toBe(200);
    const more = { ...claim, addresses: [address, ...other.machine.addresses] };
    await expectRefused(stage, 'name-address-mismatch', challenge(more));
  });

  holds('dns-silent', async () => {
    await using silent = await startDnsServer(() => undefined, { host: stage.lab.clientAddress });
    const ca = await stage.serveCopy('silent', { dns: { servers: [silent.address], timeout: '1s' } });
    await using store = await ca.ca.openStore();
    const client = await stage.clientOf({ ca });
    const answer = await expectRefused({ store }, 'name-unresolvable', challenge(victim.claim, client));
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    expect(silent.queries.length).toBeGreaterThan(0);
  });

  holds('dns-changes', async () => {
    // Whoever runs the zone answers the check with a host of theirs, and everything later with the victim.
    const mine = await stage.addHost('rebinder');
    const trap = await addServer('trap', { kind: 'silent' });
    const name = 'rebinding.lab.example';
    await using dns = await startDnsServer(
      ({ name: asked, type, count }) => ({
        answers: addressRecords(asked, count === 1 ? mine.machine.addresses : trap.machine.addresses, type),
      }),
      { host: stage.lab.clientAddress },
    );
    const ca = await stage.serveCopy('rebinding', { dns: { servers: [dns.address] } });
    const client = await stage.clientOf({ ca });
    const answer = bodyOf(await client.challenge({ ...mine.claim, names: [name] }));
    const token = await client.token(answer, prove(answer, mine.key));
    expect(token.json).toMatchObject({ principals: [name] });
    expect(dns.queries.map(({ type }) => type).toSorted()).toEqual(['A', 'AAAA', 'CNAME']);
    expect(trap.server.accepted()).toBe(0);

    await using store = await ca.ca.openStore();
    await expectRefused({ store }, 'name-address-mismatch', challenge({ ...mine.claim, names: [name] }, client));
  });
});

describe('dial-back', () => {
  holds('second-address-other-key', async () => {
    const [first, second] = [await stage.addHost('twin-a'), await stage.addHost('twin-b')];
    const addresses = [...first.machine.addresses, ...second.machine.addresses];
    await stage.setNames({ 'twin.lab.example': addresses });
    const claim = stage.claimOf('twin.lab.example', addresses, first.key);
    await expectRefused(stage, 'dial-back-key-not-found', challenge(claim));

    // With the key on both, the same claim is fine.
    await second.sshd[Symbol.asyncDispose]();
    stage.use(await startLabSshd(stage.lab, second.machine, { keyFilesOf: first.sshd }));
    expect((await stage.client.challenge(claim)).status).toBe(200);
  });

  holds('shown-not-owned', async () => {
    const other = await stage.addHost('forger-key');
    const [shown, owned] = [await privateKeyOf(victim), await privateKeyOf(other)];
    const { claim } = await addServer('forger', { kind: 'forges', shown, owned });
    await expectRefused(stage, 'dial-back-signature-invalid', challenge(claim));
  });

  holds('key-not-served', async () => {
    const other = await stage.addHost('other-key');
    const claim = { ...victim.claim, fingerprint: other.key.fingerprint };
    await expectRefused(stage, 'dial-back-key-not-found', challenge(claim));
  });

  holds('key-replaced', async () => {
    const keyed = await stage.addHost('changing-key');
    const keys = [await privateKeyOf(keyed), await privateKeyOf(victim)];
    const { name, machine } = await addServer('changing', { kind: 'changes', keys });
    const answer = bodyOf(await stage.client.challenge(stage.claimOf(name, machine.addresses, keyed.key)));
    const proof = prove(answer, keyed.key);
    await expectRefused(stage, 'dial-back-key-not-found', async () => stage.client.token(answer, proof));
  });

  holds('nothing-there', async () => {
    const machine = await stage.lab.addMachine('empty');
    await stage.setNames({ 'empty.lab.example': machine.addresses });
    const claim = stage.claimOf('empty.lab.example', machine.addresses, victim.key);
    await expectRefused(stage, 'dial-back-unreachable', challenge(claim));
  });

  holds('not-ssh', async () => {
    const { claim } = await addServer('web', { kind: 'speaksHttp' });
    const answer = await expectRefused(stage, 'dial-back-not-ssh', challenge(claim));
    expect(answer.text).not.toMatch(/HTTP|html/);
    expect(stage.ca.process.stderr()).not.toMatch(/HTTP\/1|html/);
  });

  holds('tarpit', async () => {
    const { claim, server } = await addServer('tarpit', tarpit);
    const ca = await stage.serveCopy('hasty', { dial_back: { timeout: '3s' } });
    await using store = await ca.ca.openStore();
    await expectRefused({ store }, 'dial-back-too-slow', challenge(claim, await stage.clientOf({ ca })));
    expect(server.accepted()).toBe(1);
  });

  holds('hang-up', async () => {
    const { claim, server } = await addServer('patient', tarpit);
    const head = await stage.store.auditHead();
    {
      await using impatient = new EnrolmentClient({ url: stage.ca.url, rootPem: await stage.ca.ca.rootPem() });
      impatient.challenge(claim).catch(() => {});
      await server.process.until(() => server.accepted() === 1);
    }
    let [entry] = await stage.auditSince(head.count);
    for (; entry === undefined; [entry] = await stage.auditSince(head.count)) await sleep(10);
    expect(entry).toMatchObject({ outcome: 'refused', code: 'stopping' });
  });

  holds('flood', async () => {
    for (const kind of ['floodsBannerLines', 'floodsIgnore'] as const) {
      const { claim } = await addServer(`flood-${kind.toLowerCase()}`, { kind });
      await expectRefused(stage, 'dial-back-too-much-data', challenge(claim));
    }
  });
});

describe('policy', () => {
  /** Its rules open nothing but the network of the laboratory: no switch for loopback. */
  let strict: RunningCa;
  let client: EnrolmentClient;
  let asked: Pick<Stage, 'store'>;

  beforeAll(async () => {
    const everything = ['0.0.0.0/0', '::/0'];
    const enrolment = { insecure_allow_loopback: false, addresses: everything, names: ['*.lab.example'] };
    strict = await stage.serveCopy('strict', { enrolment });
    client = await stage.clientOf({ ca: strict });
    asked = { store: stage.use(await strict.ca.openStore()) };
  });

  holds('policy-closed', async () => {
    const ca = await stage.serveCopy('closed', { enrolment: { names: [], addresses: [] } });
    await using store = await ca.ca.openStore();
    const theirs = await stage.clientOf({ ca });
    await expectRefused({ store }, 'enrolment-disabled', challenge(victim.claim, theirs));
  });

  holds('policy-names', async () => {
    for (const name of ['victim.example', 'lab.example', 'a.b.lab.example', 'victimlab.example']) {
      await expectRefused(asked, 'name-not-allowed', challenge({ ...victim.claim, names: [name] }, client));
    }
  });

  holds('policy-addresses', async () => {
    const claim = { ...victim.claim, addresses: ['8.8.8.8'] };
    await expectRefused(stage, 'address-not-allowed', challenge(claim));
    await expectRefused(stage, 'address-not-allowed', challenge({ ...claim, addresses: ['2a00::1'] }));
  });

  holds('policy-ports', async () => {
    await expectRefused(stage, 'port-not-allowed', challenge({ ...victim.claim, port: 25 }));
  });

  holds('forbidden-addresses', async () => {
    const loopback = ['127.0.0.1', '127.77.1.1', '::1', '::ffff:127.0.0.1'];
    const linkLocal = ['169.254.1.1', 'fe80::1'];
    const metadata = ['169.254.169.254', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', '::ffff:169.254.169.254'];
    const others = ['0.0.0.0', '224.0.0.1', '255.255.255.255', 'ff02::1', '::', '64:ff9b::127.0.0.1'];
    for (const address of [...loopback, ...linkLocal, ...metadata, ...others]) {
      await expectRefused(asked, 'address-forbidden', challenge({ ...victim.claim, addresses: [address] }, client));
    }
  });

  holds('own-address', async () => {
    const ca = await stage.serveCopy('own', {
      enrolment: { insecure_allow_loopback: false, addresses: ['0.0.0.0/0'], own_addresses: ['10.9.9.9'] },
    });
    await using store = await ca.ca.openStore();
    const theirs = await stage.clientOf({ ca });
    // Behind NAT the CA does not see the address that clients reach it by: it is told. Its interfaces it reads itself.
    const own = stage.lab.kind === 'namespaces' ? ['10.9.9.9', ca.ca.address] : ['10.9.9.9'];
    for (const address of own) {
      await expectRefused({ store }, 'address-forbidden', challenge({ ...victim.claim, addresses: [address] }, theirs));
    }
  });

  holds('policy-keys', async () => {
    const ca = await stage.serveCopy('keys', { certificates: { key_types: ['ssh-rsa'], min_rsa_bits: 4096 } });
    await using store = await ca.ca.openStore();
    const theirs = await stage.clientOf({ ca });
    const small = await stage.addHost('small-key', { keys: ['rsa'] });
    for (const { claim, key } of [victim, small]) {
      const answer = bodyOf(await theirs.challenge(claim));
      const { token } = bodyOf(await theirs.token(answer, prove(answer, key)));
      await expectRefused({ store }, 'key-not-allowed', async () => theirs.sign(token, key.blob));
    }
  });
});
