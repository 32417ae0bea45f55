import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '#ca-lite/config/parse.ts';
import { formatConfigTemplate } from '#ca-lite/config/template.ts';

const values = {
  name: 'Example "quoted" \\ CA',
  dnsNames: ['ca.example.com', '10.0.0.1'],
  address: '[::1]:8443',
  enrolNames: ['**.example.com'],
  enrolAddresses: ['10.0.0.0/8'],
  userPrincipals: ['alice'],
};
const template = formatConfigTemplate(values);

function faultsOf(text: string): string[] {
  try {
    parseConfig(text);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ key }) => key);
  }
}

describe('ca.toml', () => {
  it('reads the template that init writes, with the values that went in', () => {
    const config = parseConfig(template);
    expect(config.name).toBe(values.name);
    expect(config.dnsNames).toEqual(values.dnsNames);
    expect(config.listen).toEqual({ host: '::1', port: 8443 });
    expect(config.enrolment.names.map(({ text }) => text)).toEqual(['**.example.com']);
  });

  it('has the same meaning with every default left out', () => {
    const bare = parseConfig('name = "x"\ndns_names = ["ca"]\n');
    const full = parseConfig(
      formatConfigTemplate({
        ...values,
        name: 'x',
        dnsNames: ['ca'],
        address: ':8443',
        enrolNames: [],
        enrolAddresses: [],
        userPrincipals: [],
      }),
    );
    expect(bare).toEqual(full);
  });

  it('allows nobody by default', () => {
    const { enrolment, certificates } = parseConfig('name = "x"\ndns_names = ["ca"]\n');
    expect([enrolment.names, enrolment.addresses, certificates.hostPrincipals, certificates.userPrincipals]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    expect(enrolment.allowLoopback).toBe(false);
  });

  it('reports all faults together', () => {
    const text = `name = "x"
dns_names = ["ca", "not a name"]
[enrolment]
names = ["*", "ok.example.com", "UPPER.example.com"]
addresses = ["10.0.0.1/8", "300.0.0.0/8"]
challenge_lifetime = "6m"
[certificates]
backdate = "60"
key_types = ["ssh-dss"]
`;
    expect(faultsOf(text)).toEqual([
      'dns_names[1]',
      'certificates.backdate',
      'certificates.key_types[0]',
      'enrolment.names[0]',
      'enrolment.names[2]',
      'enrolment.addresses[0]',
      'enrolment.addresses[1]',
      'enrolment.challenge_lifetime',
    ]);
  });

  it('refuses unknown keys and says which', () => {
    expect(() => parseConfig(template.replace('short_names', 'shortnames'))).toThrow(/shortnames/);
    expect(faultsOf(`colour = 1\n${template}`)).toHaveLength(1);
  });

  it('reports wrong shapes together with wrong values', () => {
    const text =
      'dns_names = 1\n[enrolment]\nnames = ["*"]\nports = [70000]\n[log]\nlevel = "loud"\n[dns]\ntimeout = "5"\n';
    const found = new Set(faultsOf(text));
    for (const key of ['', 'dns_names', 'enrolment.ports[0]', 'enrolment.names[0]', 'log.level', 'dns.timeout']) {
      expect(found).toContain(key);
    }
    expect(faultsOf('name = "x"\ndns_names = ["x"]\nenrolment = 1\n')).toEqual(['enrolment']);
  });

  it('refuses a default lifetime over the maximum', () => {
    expect(faultsOf(template.replace('host_lifetime = "30d"', 'host_lifetime = "91d"'))).toEqual([
      'certificates.host_lifetime',
    ]);
  });

  it('answers any text with a configuration or a ConfigError', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(template.length), (junk, at) => {
        for (const text of [junk, template.slice(0, at) + junk + template.slice(at)]) {
          expect(() => {
            try {
              parseConfig(text);
            } catch (error) {
              if (!(error instanceof ConfigError)) throw error;
            }
          }).not.toThrow();
        }
      }),
    );
  });
});
