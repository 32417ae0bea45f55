import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUsablePrincipal } from '#openssh/certificate.ts';
import { type PrincipalRule, mapPrincipals } from '#ca-lite/oidc/principal-mapping.ts';

const local: PrincipalRule = { from: 'email-local-part' };
const dba: PrincipalRule = { from: 'group', group: 'dba', principals: ['postgres', 'backup'] };

describe('principals from claims', () => {
  it('come from the local part of the e-mail address, claims, groups and fixed lists, each once', () => {
    const rules: PrincipalRule[] = [
      local,
      { from: 'claim', claim: 'preferred_username' },
      { from: 'claim', claim: 'accounts' },
      dba,
      { from: 'fixed', principals: ['guest'] },
    ];
    const claims = {
      email: 'Alice@Example.com',
      preferred_username: 'alice',
      accounts: ['ops', 'web'],
      groups: ['dev', 'dba'],
    };
    expect(mapPrincipals(rules, claims)).toEqual({
      principals: ['alice', 'ops', 'web', 'postgres', 'backup', 'guest'],
    });
  });

  it('are none for a group the user is not in, and none at all is a fault', () => {
    expect(mapPrincipals([local, dba], { email: 'bob@example.com', groups: ['dbadmin'] })).toEqual({
      principals: ['bob'],
    });
    expect(mapPrincipals([dba], { groups: [] })).toHaveProperty('fault');
    expect(mapPrincipals([local], {})).toHaveProperty('fault');
    expect(mapPrincipals([], { email: 'bob@example.com' })).toHaveProperty('fault');
  });

  it.each(['a,root', 'a\nroot', 'a\u0000root', '*', '', ' ', 'a b', 'a?', '!root', 'a\u202eb', "a'b", 'a"b', 'a\\b'])(
    'never are %j',
    (value) => {
      expect(mapPrincipals([{ from: 'claim', claim: 'name' }], { name: value })).toHaveProperty('fault');
      expect(mapPrincipals([{ from: 'claim', claim: 'name' }], { name: ['ok', value] })).toHaveProperty('fault');
      expect(mapPrincipals([local], { email: `${value}@example.com` })).toHaveProperty('fault');
    },
  );

  it.each([
    ['a text for groups', { groups: 'dba' }],
    ['numbers in groups', { groups: ['dba', 1] }],
    ['10,000 groups', { groups: Array.from({ length: 10_000 }, (_, i) => `g${i}`) }],
    ['an e-mail address with two @', { email: 'alice@evil@example.com' }],
    ['an e-mail address that is a list', { email: ['alice@example.com'] }],
  ])('refuse %s', (_what, claims) => {
    expect(mapPrincipals([{ from: 'fixed', principals: ['x'] }, local, dba], claims)).toHaveProperty('fault');
  });

  it('do not come from what every object inherits', () => {
    expect(
      mapPrincipals(
        [
          { from: 'claim', claim: 'constructor' },
          { from: 'claim', claim: '__proto__' },
        ],
        {},
      ),
    ).toHaveProperty('fault');
  });

  it('are usable, whatever the claims are', () => {
    const rules: PrincipalRule[] = [local, { from: 'claim', claim: 'name' }, dba];
    fc.assert(
      fc.property(fc.record({ email: fc.anything(), name: fc.anything(), groups: fc.anything() }), (claims) => {
        const result = mapPrincipals(rules, claims);
        if ('principals' in result)
          expect(result.principals.length > 0 && result.principals.every(isUsablePrincipal)).toBe(true);
      }),
    );
  });
});
