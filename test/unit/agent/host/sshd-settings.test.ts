import { describe, expect, test } from 'vitest';
import { listensOn, localEndpoints, parseSshdSettings } from '#agent/host/sshd-settings.ts';

const output = `port 22
listenaddress [::]:22
listenaddress 0.0.0.0:22
listenaddress 192.0.2.7:2222 rdomain 3
trustedusercakeys none
hostkeyagent none
hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519
hostkey /etc/ssh/ssh_host_rsa_key
HostKey /etc/ssh/host keys/ed25519
hostcertificate /etc/ssh/a-cert.pub
pidfile /run/sshd.pid
banner none
garbage
`;

describe('parseSshdSettings', () => {
  test('reads what sshd -T prints', () => {
    expect(parseSshdSettings(output)).toEqual({
      ports: [22, 2222],
      endpoints: [
        { address: '::', port: 22 },
        { address: '0.0.0.0', port: 22 },
        { address: '192.0.2.7', port: 2222 },
      ],
      hostKeys: ['/etc/ssh/ssh_host_rsa_key', '/etc/ssh/host keys/ed25519'],
      hostCertificates: ['/etc/ssh/a-cert.pub'],
      hostKeyAlgorithms: ['ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519'],
      hostKeyAgent: undefined,
      trustedUserCaKeys: undefined,
      pidFile: '/run/sshd.pid',
    });
  });

  test('takes the ports from the addresses, since a port line does not count beside them', () => {
    expect(parseSshdSettings('port 22\nlistenaddress 127.0.0.1:2022\n').ports).toEqual([2022]);
  });

  test('passes by what is no endpoint', () => {
    const lines = [
      'listenaddress 0.0.0.0',
      'listenaddress 0.0.0.0:0',
      'listenaddress 0.0.0.0:65536',
      'listenaddress x:22',
    ];
    expect(parseSshdSettings(lines.join('\n')).endpoints).toEqual([]);
  });
});

test('local endpoints are reachable ones, IPv4 first, each once', () => {
  expect(localEndpoints(parseSshdSettings(`${output}listenaddress 127.0.0.1:22\n`))).toEqual([
    { address: '127.0.0.1', port: 22 },
    { address: '192.0.2.7', port: 2222 },
    { address: '::1', port: 22 },
  ]);
});

test('a wildcard listens on every address of its family, another address only on itself', () => {
  const v4 = parseSshdSettings('listenaddress 0.0.0.0:22\nlistenaddress [fd00::1]:22\n');
  expect(['192.0.2.1', 'fd00::1', 'fd00::2'].map((address) => listensOn(v4, address))).toEqual([true, true, false]);
});
