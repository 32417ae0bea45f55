import { expect, test } from 'vitest';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type Candidate, type ChoiceRule, IdentityChoice } from '#agent/user/identity-choice.ts';
import { SessionBindings } from '#agent/user/session-bindings.ts';
import { identityId } from '#agent/user/identity.ts';
import { sampleBind, sampleCertificate, sampleKey } from '../../openssh/agent-samples.ts';
import { text } from './agent-fixture.ts';

const [host, otherHost, ca] = [sampleKey(), sampleKey(), sampleKey()];
const hostCertificate = sampleCertificate(host, ca, { type: 'host', principals: ['db.example.org'] });

function candidate(comment: string, wasExpired = false): Candidate {
  const { blob } = sampleKey();
  return { blob, comment: text(comment), fingerprint: fingerprintOf(blob), wasExpired };
}
const [work, home, old] = [candidate('work laptop'), candidate('home'), candidate('old', true)];
const all = [old, work, home];

function boundTo(contents: Uint8Array) {
  const bindings = new SessionBindings();
  expect(bindings.bind(contents)).toBe(true);
  return bindings.last;
}
const login = boundTo(sampleBind(host));
const certified = boundTo(sampleBind(host, { shown: hostCertificate.blob }));

test('without a bound login everything is offered, in order', () => {
  const choice = new IdentityChoice([{ host: '*', identities: ['nothing'] }], 1);
  expect(choice.choose(all, undefined)).toEqual(all);
  expect(choice.choose(all, boundTo(sampleBind(host, { isForwarding: true })))).toEqual(all);
});

test('for a login what had ended is left out, and what the host took comes first', () => {
  const choice = new IdentityChoice();
  expect(choice.choose(all, login)).toEqual([work, home]);
  if (login !== undefined) choice.remember(login, identityId(home.blob));
  expect(choice.choose(all, login)).toEqual([home, work]);
  expect(choice.choose(all, certified)).toEqual([home, work]); // the same host, now with a certificate
  expect(choice.choose(all, boundTo(sampleBind(otherHost)))).toEqual([work, home]);
});

test.each([
  ['the host key', fingerprintOf(host.blob), login, true],
  ['the host key inside a certificate', fingerprintOf(host.blob), certified, true],
  ['the host CA', fingerprintOf(ca.blob), certified, true],
  ['the host CA, without a certificate', fingerprintOf(ca.blob), login, false],
  ['a name of the certificate', '*.EXAMPLE.org', certified, true],
  ['a name, without a certificate', '*.example.org', login, false],
  ['another key', fingerprintOf(otherHost.blob), login, false],
])('a rule for %s', (_, name, last, fits) => {
  const rule: ChoiceRule = { host: name, identities: ['work *'] };
  expect(new IdentityChoice([rule]).choose(all, last)).toEqual(fits ? [work] : [work, home]);
});

test('a rule may name fingerprints; the first that fits counts; the limit is for hosts without a rule', () => {
  const rules = [
    { host: fingerprintOf(host.blob), identities: [home.fingerprint ?? '', work.fingerprint ?? ''] },
    { host: '*', identities: ['nothing'] },
  ];
  expect(new IdentityChoice(rules, 1).choose(all, certified)).toEqual([work, home]);
  expect(new IdentityChoice([], 1).choose(all, certified)).toEqual([work]);
});
