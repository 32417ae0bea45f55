/** A host with a real sshd that is enrolled with a CA for tests, and follows it in this process: for what the real CA never says. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { openClock } from '#agent/clock/clock-record.ts';
import { type FollowOptions, type FollowOutcome, followAuthority } from '#agent/host/following/follow-authority.ts';
import { requireAuthority } from '#agent/state/authority.ts';
import { formatPublicKeyLine, parsePublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { type StatementOptions, statementsOf } from '#test/support/statement-sample.ts';
import { type TestHost, loginConfig, startHost } from './host-agent-fixture.ts';

export interface FollowingStage extends AsyncDisposable {
  readonly host: TestHost;
  /** Private keys that sshd takes without a certificate. */
  readonly good: string;
  readonly bad: string;
  readonly badBlob: Uint8Array;
  /** Where sshd finds the KRL. */
  readonly krlPath: string;
  readonly places: { readonly stateDirectory: string; readonly sshdConfig: string };
  /** What the CA says from now on. */
  state(options: StatementOptions): void;
  /** Asks the CA, as a look of the host does. */
  follow(options?: Partial<FollowOptions>): Promise<FollowOutcome>;
}

export interface FollowingStageOptions {
  /** sshd has another file of user CA keys, which names that of this CA. */
  readonly trustsElsewhere?: boolean;
}

export async function openFollowingStage({
  trustsElsewhere = false,
}: FollowingStageOptions = {}): Promise<FollowingStage> {
  await using stack = new AsyncDisposableStack();
  const keys = await mkdtemp(join(tmpdir(), 'countersign-following-'));
  stack.defer(async () => rm(keys, { recursive: true, force: true }));
  const authorized = join(keys, 'authorized');
  const [good, bad] = [await makeIdentity(keys, 'good', authorized), await makeIdentity(keys, 'bad', authorized)];
  const elsewhere = join(keys, 'user_cas.pub');
  const config = [...loginConfig, `AuthorizedKeysFile ${authorized}`];
  if (trustsElsewhere) config.push(`TrustedUserCAKeys ${elsewhere}`);
  const host = stack.use(await startHost({ sshd: { config } }));
  if (trustsElsewhere) {
    await writeFile(elsewhere, `${formatPublicKeyLine(publicKeyFromObject(host.ca.userCa))}\n`);
    host.ca.behaviour.statements = statementsOf(host.ca);
  }
  const { status, stderr } = await host.enroll();
  if (status !== 0) throw new Error(stderr);
  const places = { stateDirectory: host.stateDirectory, sshdConfig: host.sshd.configPath };
  const owned = stack.move();
  return {
    host,
    good,
    bad,
    badBlob: parsePublicKeyLine(await readFile(`${bad}.pub`, 'utf8')).blob,
    krlPath: join(host.sshd.etc, 'countersign_revoked_keys'),
    places,
    state: (options) => {
      host.ca.behaviour.statements = statementsOf(host.ca, options);
    },
    follow: async (options = {}) => followHere(places, options),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function followHere(places: FollowingStage['places'], options: Partial<FollowOptions>): Promise<FollowOutcome> {
  const authority = await requireAuthority(places.stateDirectory);
  const clock = await openClock(places.stateDirectory, authority);
  return followAuthority(places, authority, { clock, urgent: true, ...options });
}

async function makeIdentity(directory: string, name: string, authorized: string): Promise<string> {
  const path = join(directory, name);
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  await writeFile(authorized, await readFile(`${path}.pub`), { flag: 'a' });
  return path;
}
