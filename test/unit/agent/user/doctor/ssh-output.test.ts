import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSshSettings } from '#agent/user/doctor/ssh-settings.ts';
import { parseSshTrace } from '#agent/user/doctor/ssh-trace.ts';

const key = `SHA256:${'A'.repeat(43)}`;
const ca = `SHA256:${'B'.repeat(43)}`;

describe('the settings of ssh', () => {
  const printed =
    'user alice\nhostname 10.0.0.7\nport 2222\nidentitiesonly yes\npubkeyacceptedalgorithms ssh-ed25519,x\n';

  it('are read from ssh -G, with the ends of lines of Windows too', () => {
    const settings = parseSshSettings(printed.replaceAll('\n', '\r\n'), {});
    expect(settings).toMatchObject({ user: 'alice', hostName: '10.0.0.7', port: 2222, identitiesOnly: true });
    expect([...settings.acceptedAlgorithms]).toEqual(['ssh-ed25519', 'x']);
  });

  it.each([
    ['', { SSH_AUTH_SOCK: '/run/a' }, { kind: 'socket', path: '/run/a' }],
    ['', {}, { kind: 'none' }],
    ['identityagent SSH_AUTH_SOCK', { SSH_AUTH_SOCK: '/run/a' }, { kind: 'socket', path: '/run/a' }],
    ['identityagent none', { SSH_AUTH_SOCK: '/run/a' }, { kind: 'none' }],
    ['identityagent /run/my agent', {}, { kind: 'socket', path: '/run/my agent' }],
    ['identityagent $MINE', { MINE: '/run/b' }, { kind: 'socket', path: '/run/b' }],
    ['identityagent $MINE', {}, { kind: 'none' }],
    ['identityagent ~/a.sock', {}, { kind: 'socket', path: join(homedir(), 'a.sock') }],
    ['identityagent /run/%u.sock', {}, { kind: 'unknown' }],
  ])('name the agent: %j with %j', (line, environment, agent) => {
    expect(parseSshSettings(`${printed}${line}\n`, environment).agent).toEqual(agent);
  });
});

describe('the trace of ssh', () => {
  it('tells which certificates were shown and taken', () => {
    const trace = parseSshTrace(
      [
        `debug1: Offering public key: a comment ED25519-CERT ${key} agent`,
        `debug1: Offering public key: other ED25519 ${ca} agent`,
        `debug1: Server accepts key: a comment ED25519-CERT ${key} agent`,
      ].join('\r\n'),
    );
    expect([...trace.offered]).toEqual([key]);
    expect(trace.accepted).toBe(key);
  });

  it('tells the CA of the host, whatever its key ID says', () => {
    const id = `ID "x CA ssh-ed25519 ${key} valid forever"`;
    const line = `debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com ${key}, serial 1 ${id} CA ssh-ed25519 ${ca} valid from a to b`;
    expect(parseSshTrace(line).hostCa).toBe(ca);
    expect(parseSshTrace(`debug1: Server host key: ssh-ed25519 ${key}`).hostCa).toBeUndefined();
  });

  it.each([
    'debug1: Skipping ssh-ed25519-cert-v01@openssh.com key my key - corresponding algo not in PubkeyAcceptedAlgorithms',
    'debug1: Skipping ssh-ed25519-cert-v01@openssh.com key my key - corresponding algorithm not in PubkeyAcceptedAlgorithms',
    'debug1: Skipping ssh-ed25519-cert-v01@openssh.com key my key - corresponding algo not in PubkeyAcceptedKeyTypes',
  ])('tells what was left out: %s', (line) => {
    expect([...parseSshTrace(line).dropped]).toEqual(['ssh-ed25519-cert-v01@openssh.com']);
  });

  it.each([
    ['ssh: Could not resolve hostname web1: Name or service not known', 'name-unknown'],
    ['ssh: connect to host 10.0.0.7 port 22: Connection refused', 'refused'],
    ['ssh: connect to host 10.0.0.7 port 22: Connection timed out', 'timed-out'],
    ['ssh: connect to host 10.0.0.7 port 22: Operation timed out', 'timed-out'],
    ['Connection timed out during banner exchange', 'timed-out'],
    ['ssh: connect to host 10.0.0.7 port 22: No route to host', 'no-route'],
    ['kex_exchange_identification: Connection closed by remote host', 'hung-up'],
    [
      'Unable to negotiate with 10.0.0.7 port 22: no matching host key type found. Their offer: ssh-rsa',
      'no-algorithm',
    ],
  ])('tells why a host was not reached: %s', (line, unreached) => {
    expect(parseSshTrace(line)).toMatchObject({ unreached, hostFault: undefined });
  });

  it.each([
    ['Certificate invalid: expired', 'expired'],
    ['Certificate invalid: not yet valid', 'not-yet-valid'],
    ['Certificate invalid: name is not a listed principal', 'name-not-listed'],
    ['@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @', 'changed'],
    ['@       WARNING: REVOKED HOST KEY DETECTED!               @', 'revoked'],
  ])('tells the reason and not only what comes of it: %s', (line, hostFault) => {
    expect(parseSshTrace(`${line}\nHost key verification failed.`)).toMatchObject({ hostFault });
    expect(parseSshTrace('Host key verification failed.')).toMatchObject({ hostFault: 'unknown' });
  });

  it('is empty for what says nothing', () => {
    const nothing = { unreached: undefined, hostFault: undefined, accepted: undefined, denied: false };
    expect(parseSshTrace('')).toMatchObject({ ...nothing, signingFailed: false, tooManyFailures: false });
    expect(parseSshTrace('I am a banner: Permission denied by nobody')).toMatchObject(nothing);
  });
});
