import { describe, expect, it } from 'vitest';
import { parseConfig } from '#ca-lite/config/parse.ts';
import { findPrincipalFault, principalsOfHost } from '#ca-lite/policy/principal-policy.ts';

const policy = (extra = ''): ReturnType<typeof parseConfig> =>
  parseConfig(`name = "x"
dns_names = ["ca"]
[enrolment]
names = ["*.example.com"]
addresses = ["10.0.0.0/8"]
${extra}
[certificates]
user_principals = ["alice"]
host_principals = ["gateway"]
`);

describe('principals', () => {
  it.each(['web1.example.com', 'gateway'])('lets a host be %s', (name) => {
    expect(findPrincipalFault('host', [name], policy())).toBeUndefined();
  });

  it.each([
    'web1',
    '10.0.0.1',
    'alice',
    'a.b.example.com',
    'web1.example.com,evil',
    '*',
    '',
    'web1.example.com\n',
    'Web1.example.com',
  ])('does not let a host be %j', (name) => {
    expect(findPrincipalFault('host', [name], policy())).toBe(name);
  });

  it('never allows an empty list', () => {
    expect(findPrincipalFault('host', [], policy())).toBeDefined();
    expect(findPrincipalFault('user', [], policy())).toBeDefined();
  });

  it('allows a short name only beside its full name', () => {
    const short = policy('short_names = true');
    expect(findPrincipalFault('host', ['web1.example.com', 'web1'], short)).toBeUndefined();
    expect(findPrincipalFault('host', ['web1.example.com', 'web2'], short)).toBe('web2');
    expect(findPrincipalFault('host', ['web1'], short)).toBe('web1');
  });

  it('allows addresses only within the ranges', () => {
    const addresses = policy('address_principals = true');
    expect(findPrincipalFault('host', ['10.1.2.3'], addresses)).toBeUndefined();
    expect(findPrincipalFault('host', ['192.168.0.1'], addresses)).toBe('192.168.0.1');
  });

  it('keeps users to the listed names', () => {
    expect(findPrincipalFault('user', ['alice'], policy())).toBeUndefined();
    expect(findPrincipalFault('user', ['root'], policy())).toBe('root');
    expect(findPrincipalFault('user', ['web1.example.com'], policy())).toBe('web1.example.com');
  });

  it('makes the principals of a proven host, each once', () => {
    const both = policy('short_names = true\naddress_principals = true');
    expect(principalsOfHost(['web1.example.com', 'www.example.com', 'web1.example.com'], ['10.0.0.1'], both)).toEqual([
      'web1.example.com',
      'www.example.com',
      'web1',
      'www',
      '10.0.0.1',
    ]);
    expect(principalsOfHost(['web1.example.com'], ['10.0.0.1'], policy())).toEqual(['web1.example.com']);
  });
});
