/** The example configurations: what the programs read, every key of it, and for the CA exactly what `init` writes. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hostConfigKeys, parseHostConfig } from '#agent/host/host-config.ts';
import { defaultPolicy } from '#agent/host/host-policy.ts';
import { parseAgentConfig } from '#agent/user/agent-config.ts';
import { defaultSignInSettings } from '#agent/user/session/sign-in-settings.ts';
import { parseConfig } from '#ca-lite/config/parse.ts';
import { formatConfigTemplate } from '#ca-lite/config/template.ts';

const example = (name: string): string =>
  readFileSync(new URL(`../../../docs/examples/${name}`, import.meta.url), 'utf8');

/** With the lines that are commented out, but for those that are words. */
const uncommented = (text: string): string => text.replace(/^# (?=\[\[|[a-z-]+ = )/gm, '');

test('host.toml shows the defaults, and every key', () => {
  const text = example('host.toml');
  expect(parseHostConfig(text, 'host.toml').policy).toEqual(defaultPolicy);
  parseHostConfig(uncommented(text), 'host.toml');
  const shown = [...uncommented(text).matchAll(/^([a-z-]+) = /gm)].map(([, key]) => key);
  expect(new Set(shown)).toEqual(new Set(hostConfigKeys));
});

test('agent.toml shows the defaults', () => {
  const text = example('agent.toml');
  expect(parseAgentConfig(text, 'agent.toml')).toEqual({ upstreams: [], choose: [], signIn: defaultSignInSettings });
  expect(parseAgentConfig(uncommented(text), 'agent.toml')).toMatchObject({
    maxOffered: 5,
    upstreams: [{ name: 'gnome' }],
    choose: [{ host: '*.example.org' }],
    signIn: { provisioner: 'corp' },
  });
});

test('ca.toml is what init writes', () => {
  const values = {
    name: 'Example',
    dnsNames: ['ca.example.internal'],
    address: ':8443',
    enrolNames: ['**.example.internal'],
    enrolAddresses: ['10.0.0.0/8'],
    userPrincipals: ['*'],
  };
  expect(example('ca.toml')).toBe(formatConfigTemplate(values));
  expect(parseConfig(example('ca.toml')).dnsNames).toEqual(values.dnsNames);
});
