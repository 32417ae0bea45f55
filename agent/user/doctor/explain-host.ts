/** Why ssh does not reach or does not believe a host, from what it printed and from which CA is trusted. Pure. */
import { printable } from '../../ca/foreign-text.ts';
import { type Finding, fail, ok } from '../../host/doctor/finding.ts';
import type { LoginFacts } from './login-facts.ts';
import type { HostFault, Unreached } from './ssh-trace.ts';

const unreachedWords: Readonly<Record<Unreached, readonly [message: string, advice: string]>> = {
  'name-unknown': ['the name does not resolve', 'Check the spelling, the DNS server and a VPN: getent ahosts NAME'],
  refused: ['nothing listens there', 'sshd does not run, or is on another port (Port in ssh_config, or ssh -p).'],
  'timed-out': [
    'it does not answer',
    'A firewall drops the packets, or the host is off: check network, VPN and address.',
  ],
  'no-route': ['there is no route to it', 'Check the network and a VPN.'],
  'hung-up': [
    'it hangs up before it shows its key',
    'sshd turns this address away (MaxStartups, PerSourcePenalties, fail2ban), or what answers is no sshd.',
  ],
  'no-algorithm': [
    'ssh and sshd have no algorithm in common',
    'One of them is very old, or very strict: ssh -v says which kind.',
  ],
};

export function explainHost(facts: LoginFacts): Finding[] {
  const { host, settings, trace, connected } = facts;
  const place = `${printable(host, 256)} (${printable(settings.hostName, 256)} port ${settings.port})`;
  if (trace.unreached !== undefined && !connected) {
    const [message, advice] = unreachedWords[trace.unreached];
    return [fail('reach', `${place} cannot be reached: ${message}`, advice)];
  }
  if (trace.hostFault === undefined || connected) {
    const how = trace.hostCa === undefined ? 'by its plain key: it shows no certificate' : 'by its certificate';
    return [ok('host-key', `${place} is known ${how}`)];
  }
  return [explainFault(trace.hostFault, facts, place)];
}

function explainFault(fault: HostFault, facts: LoginFacts, place: string): Finding {
  const onHost = 'On the host: countersign host status, and countersign host renew.';
  switch (fault) {
    case 'expired':
      return fail('host-certificate-expired', `the host certificate of ${place} has expired`, onHost);
    case 'not-yet-valid':
      return fail(
        'clock',
        `the host certificate of ${place} is not valid yet`,
        'The clock here is behind (timedatectl set-ntp true), or the one of the CA is ahead.',
      );
    case 'name-not-listed':
      return fail(
        'host-name',
        `the host certificate of ${place} is for other names than the one that was typed`,
        'Type the full name, or enrol the host under this one too: countersign host enroll --name NAME',
      );
    case 'revoked':
      return fail(
        'host-revoked',
        `the key of ${place} is revoked`,
        'Do not connect. Ask the administrator of the host.',
      );
    case 'changed':
      return fail(
        'host-key-changed',
        `${place} shows another key than the one in known_hosts`,
        'If the host was made anew, take the old line out: ssh-keygen -R NAME. If not, somebody may be in between.',
      );
    case 'unknown':
      return explainUnknown(facts, place);
  }
}

function explainUnknown({ trace: { hostCa }, ca }: LoginFacts, place: string): Finding {
  if (hostCa === undefined) {
    const advice = 'On the host: countersign host status, and countersign host enroll.';
    return fail(
      'host-certificate-missing',
      `${place} shows no certificate, and its plain key is not known here`,
      advice,
    );
  }
  if (ca !== undefined && ca.hostCas.has(hostCa)) {
    const advice =
      'Run: countersign ssh-config install --hosts "*.example.com", with a pattern that fits the name that was typed.';
    return fail('host-ca-not-told', `${place} has a certificate of ${ca.url}, and ssh is not told to trust it`, advice);
  }
  const advice =
    'If it is right, trust its CA: countersign bootstrap, and countersign ssh-config install. If the CA has a new key, run both again.';
  return fail('host-ca-unknown', `${place} has a certificate of a CA that is not trusted here`, advice);
}
