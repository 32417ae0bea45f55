/**
 * Why ssh does not get in, from what is known: one finding for each thing that is in order or is not, in the order in which one depends on the
 * other. Pure. A host tells nobody why it refuses, so what only it knows is said as such, with where to look.
 */
import { findValidityFault } from '#openssh/certificate-check.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { printable } from '../../ca/foreign-text.ts';
import { type Finding, fail, ok, warn } from '../../host/doctor/finding.ts';
import { explainHost } from './explain-host.ts';
import type { LoginFacts } from './login-facts.ts';

/** sshd gives up after MaxAuthTries, which is 6 where nobody set it. */
const USUAL_AUTH_TRIES = 6;

export function explainLogin(facts: LoginFacts): Finding[] {
  const { host, settings, connected } = facts;
  const who = `${printable(settings.user, 64)}@${printable(host, 256)}`;
  const hostFindings = explainHost(facts);
  if (connected) return [...hostFindings, ...explainAgent(facts).map(asWarning), ok('login', `ssh gets in as ${who}`)];
  if (hostFindings.some(({ level }) => level === 'fail')) return hostFindings;
  const agent = explainAgent(facts);
  if (agent.some(({ level }) => level === 'fail')) return [...hostFindings, ...agent];
  return [...hostFindings, ...agent, explainRefusal(facts, who)];
}

/** ssh got in: what is wrong with the agent is no reason to fail. */
function asWarning(finding: Finding): Finding {
  return finding.level === 'fail' ? { ...finding, level: 'warn' } : finding;
}

/** The agent that ssh uses, and the certificates in it. */
export function explainAgent(facts: LoginFacts): Finding[] {
  const { agent, settings } = facts;
  if (agent.kind === 'none') {
    const advice =
      'Run: countersign ssh-config install, which names the agent of countersign; or: eval "$(countersign agent)" in this shell.';
    return [fail('agent', 'ssh uses no agent: neither SSH_AUTH_SOCK nor IdentityAgent names one', advice)];
  }
  if (agent.kind === 'unknown')
    return [warn('agent', 'the agent of ssh cannot be looked at', 'IdentityAgent holds tokens.')];
  if (agent.kind === 'silent') {
    const advice =
      'Start it: countersign agent. Or correct IdentityAgent in ssh_config, or SSH_AUTH_SOCK: ssh uses no other.';
    return [fail('agent', `no agent answers at ${agent.socket}, which is the one that ssh uses`, advice)];
  }
  const there = ok('agent', `the agent at ${agent.socket} has ${count(agent.identities, 'key')}`);
  if (settings.identitiesOnly && !facts.connected && facts.trace.offered.size === 0) {
    const advice = 'ssh_config sets it for this host: take it out, or name the key there with IdentityFile.';
    return [
      there,
      fail('identities-only', 'ssh shows no certificate of the agent, since IdentitiesOnly is on', advice),
    ];
  }
  return [there, ...explainCertificates(facts, agent.certificates)];
}

function explainCertificates(facts: LoginFacts, certificates: readonly Certificate[]): Finding[] {
  if (facts.ca === undefined) {
    const advice = 'Run: countersign bootstrap --ca https://CA --fingerprint HEX';
    return [fail('trust', 'no CA is trusted here, so no certificate is expected', advice)];
  }
  if (certificates.length === 0) {
    const { elsewhere } = facts;
    if (elsewhere !== undefined) {
      const advice =
        'Run: countersign ssh-config install. Or set SSH_AUTH_SOCK to it, and look for IdentityAgent in ssh_config.';
      return [fail('agent-other', `your certificate is in another agent, at ${elsewhere}`, advice)];
    }
    return [
      fail(
        'certificate',
        `the agent has no certificate of ${facts.ca.url}`,
        'Sign in: countersign login. (A locked agent shows none: ssh-add -X)',
      ),
    ];
  }
  const judged = certificates.map((certificate) => judgeCertificate(certificate, facts));
  const good = judged.filter(({ level }) => level === 'ok');
  return good.length > 0 ? [...good, ...explainOffer(facts, certificates)] : judged;
}

function judgeCertificate(certificate: Certificate, { now, isRevoked, settings }: LoginFacts): Finding {
  const { serial, validBefore, principals } = certificate;
  const name = `the certificate with serial ${serial}`;
  const fault = findValidityFault(certificate, now);
  if (fault === 'expired')
    return fail('certificate-expired', `${name} ended at ${utc(validBefore)}`, 'Sign in again: countersign login');
  if (fault === 'not-yet-valid')
    return fail('clock', `${name} is not valid yet`, 'The clock here is behind: timedatectl set-ntp true');
  if (isRevoked?.(certificate) === true)
    return fail(
      'certificate-revoked',
      `${name} is revoked`,
      'Its administrator says why. Sign in again: countersign login',
    );
  if (principals.includes(settings.user))
    return ok('certificate', `${name} is for ${settings.user}, until ${utc(validBefore)}`);
  return ok('certificate', `${name} is valid until ${utc(validBefore)}, for: ${printable(principals.join(' '), 256)}`);
}

/** Whether ssh showed it to the host. */
function explainOffer({ agent, trace, connected }: LoginFacts, certificates: readonly Certificate[]): Finding[] {
  if (connected || certificates.some((certificate) => trace.offered.has(keyOf(certificate)))) return [];
  const types = certificates.map(({ key }) => keyTypes[key.type].certificateType);
  const dropped = types.find((type) => trace.dropped.has(type));
  if (dropped !== undefined) {
    const advice = `Add it to PubkeyAcceptedAlgorithms in ssh_config: PubkeyAcceptedAlgorithms +${dropped}`;
    return [
      fail('certificate-dropped', `ssh does not show it: PubkeyAcceptedAlgorithms leaves out ${dropped}`, advice),
    ];
  }
  if (trace.tooManyFailures && agent.kind === 'there') {
    const advice = `sshd gives up after MaxAuthTries (${USUAL_AUTH_TRIES}). Take keys out of the agent (ssh-add -d), or name the key for this host: IdentityFile, IdentitiesOnly yes.`;
    return [fail('identities', `the host had enough of other keys: the agent has ${agent.identities}`, advice)];
  }
  return [];
}

function explainRefusal(facts: LoginFacts, who: string): Finding {
  const { trace, settings, agent } = facts;
  if (trace.signingFailed) {
    const advice = 'It may be locked (ssh-add -X), or wait for your consent, or you said no.';
    return fail('agent-refused', 'the host takes the key, and the agent did not sign', advice);
  }
  const certificates = agent.kind === 'there' ? agent.certificates : [];
  if (certificates.length > 0 && !certificates.some(({ principals }) => principals.includes(settings.user))) {
    const names = printable(certificates.flatMap(({ principals }) => principals).join(', '), 256);
    const advice = `Log in as one of them (ssh PRINCIPAL@HOST), or have its administrator let ${printable(settings.user, 64)} in for it: AuthorizedPrincipalsFile.`;
    return fail('principal', `${who} is refused: the certificate is for ${names}`, advice);
  }
  if (trace.tooManyFailures)
    return fail('identities', `${who} is refused after too many keys`, 'Take keys out of the agent: ssh-add -d');
  const advice = `Only the host knows why, and its log says it: journalctl -u ssh. In this order: TrustedUserCAKeys does not have the user CA (on the host: countersign doctor), the account is missing or locked, AuthorizedPrincipalsFile or AllowUsers leaves it out, the clock there is wrong, the certificate is revoked there.`;
  return fail('refused-there', `${who} is refused, although the certificate is in order here`, advice);
}

function keyOf({ key }: Certificate) {
  return fingerprintOf(encodePublicKey(key));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function utc(epochSeconds: bigint): string {
  return new Date(Number(epochSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}
