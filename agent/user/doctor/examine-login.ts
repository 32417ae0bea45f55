/** What is known about one login, gathered and explained: ssh's own settings, its agent, the CA, and one try. Does I/O. */
import type { Certificate } from '#openssh/certificate.ts';
import { findRevocation } from '#openssh/krl-check.ts';
import { type Krl, MAX_KRL_LENGTH } from '#openssh/krl.ts';
import { openCaClient, trusted } from '../../ca/ca-client.ts';
import { pullKrl } from '../../ca/pull-krl.ts';
import { pullTrust } from '../../ca/pull-trust.ts';
import { Clock } from '../../clock/clock.ts';
import { openClock } from '../../clock/clock-record.ts';
import { isFailure } from '../../failure.ts';
import { checkCa } from '../../host/doctor/ca-checks.ts';
import { type Finding, ok } from '../../host/doctor/finding.ts';
import { type Authority, fingerprintsOf, readAuthority } from '../../state/authority.ts';
import { controlSocketOf, isLive } from '../socket-path.ts';
import { findElsewhere, lookAtAgent } from './agent-facts.ts';
import { type SshProgram, printSettings, tryLogin } from './ask-ssh.ts';
import { explainAgent, explainLogin } from './explain-login.ts';
import type { LoginFacts, TrustedCa } from './login-facts.ts';
import { parseSshSettings } from './ssh-settings.ts';
import { parseSshTrace } from './ssh-trace.ts';

/** Matches what ssh_config says of every host, and exists nowhere (RFC 6761). */
const ANY_HOST = 'any-host.invalid';

export interface LoginQuestion {
  /** As one would type it after `ssh`. */
  readonly host: string;
  readonly ssh: SshProgram;
  readonly stateDirectory: string;
}

export interface ExplainedLogin {
  readonly connected: boolean;
  readonly findings: readonly Finding[];
}

/** @throws DoctorError, StateError */
export async function examineLogin(question: LoginQuestion): Promise<ExplainedLogin> {
  const { facts, findings } = await gather(question);
  const run = await tryLogin(question.ssh, question.host, !(await wouldAskForSignIn(facts)));
  const connected = run.exitCode === 0;
  const explained = explainLogin({ ...facts, trace: parseSshTrace(run.stderr), connected });
  return { connected, findings: [...findings, ...explained] };
}

/** What a login at any host needs of this machine; nothing is tried. @throws DoctorError, StateError */
export async function examineUser(question: Omit<LoginQuestion, 'host'>): Promise<readonly Finding[]> {
  const { facts, findings } = await gather({ ...question, host: ANY_HOST });
  const trust = facts.ca === undefined ? [] : [ok('trust', `${facts.ca.url} is trusted (${question.stateDirectory})`)];
  return [...trust, ...findings, ...explainAgent(facts)];
}

/** All but the try, as if ssh got in. */
async function gather({ host, ssh, stateDirectory }: LoginQuestion) {
  const settings = parseSshSettings(await printSettings(ssh, host), ssh.environment);
  const authority = await readAuthority(stateDirectory);
  const { clock, findings, krl } = await askCa(authority, stateDirectory);
  const ca = authority === undefined ? undefined : casOf(authority);
  const userCas = ca?.userCas ?? new Set();
  const agent = await lookAtAgent(settings.agent, userCas);
  const elsewhere = await findElsewhere(agent, userCas, ssh.environment);
  const isRevoked = krl === undefined ? undefined : (each: Certificate) => findRevocation(krl, each) !== undefined;
  const now = clock.now();
  const trace = parseSshTrace('');
  const facts: LoginFacts = { host, settings, agent, elsewhere, ca, now, isRevoked, trace, connected: true };
  return { facts, findings };
}

/** Our agent without a certificate has ssh wait while it asks the person to sign in: not for somebody who asks why. */
async function wouldAskForSignIn({ agent }: LoginFacts): Promise<boolean> {
  if (agent.kind !== 'there' || agent.certificates.length > 0) return false;
  return isLive(controlSocketOf(agent.socket));
}

function casOf({ url, hostCaKeys, userCaKeys }: Authority): TrustedCa {
  return { url, hostCas: fingerprintsOf(hostCaKeys), userCas: fingerprintsOf(userCaKeys) };
}

interface AskedCa {
  readonly clock: Clock;
  /** Only what is not in order. */
  readonly findings: readonly Finding[];
  readonly krl: Krl | undefined;
}

/** A CA that does not answer is no reason why a login fails: it is told as a warning. */
async function askCa(authority: Authority | undefined, stateDirectory: string): Promise<AskedCa> {
  if (authority === undefined) return { clock: new Clock(), findings: [], krl: undefined };
  const clock = await openClock(stateDirectory, authority);
  const findings = (await checkCa(authority, clock)).filter(({ level }) => level !== 'ok');
  const asWarnings = findings.map((each): Finding => ({ ...each, level: 'warn' }));
  return { clock, findings: asWarnings, krl: await fetchKrl(authority, clock) };
}

async function fetchKrl(authority: Authority, clock: Clock): Promise<Krl | undefined> {
  const now = (): bigint => clock.now();
  await using client = openCaClient({ ...trusted(authority, clock), maxBodyBytes: MAX_KRL_LENGTH });
  try {
    const trust = await pullTrust(client, authority, now);
    if (trust === undefined) return undefined;
    const question = { path: trust.krl.path, heldNumber: undefined, heldEtag: undefined };
    return (await pullKrl(client, authority, question, now))?.krl;
  } catch (error) {
    if (isFailure(error)) return undefined; // `checkCa` has said so, where it is the CA
    throw error;
  }
}
