import { describe, expect, it } from 'vitest';
import { type OidcSection, readOidcSection } from '#ca-lite/oidc/oidc-config.ts';

const section: OidcSection = {
  name: 'builds',
  issuer: 'https://token.example.com',
  client_id: 'https://ca.example.com',
  nonce_binding: 'none',
  require_claims: { repository: 'example/app' },
};

function read(change: Partial<OidcSection> = {}) {
  const faults: string[] = [];
  const policy = readOidcSection({ ...section, ...change }, (key) => faults.push(key));
  return { policy, faults };
}

describe('a section for workloads', () => {
  it('takes young tokens without an e-mail address', () => {
    const { policy, faults } = read();
    expect(faults).toEqual([]);
    expect(policy).toMatchObject({ nonceBinding: 'none', maxTokenAgeSeconds: 300 });
    expect(policy.requirements.emailVerified).toBe(false);
  });

  it('has to say whose: anybody gets tokens of a public issuer', () => {
    expect(read({ require_claims: {} }).faults).toEqual(['require_claims']);
    expect(read({ require_claims: undefined as never }).faults).toEqual(['require_claims']);
  });

  it('never takes old tokens', () => {
    expect(read({ max_token_age: '15m' }).faults).toEqual([]);
    expect(read({ max_token_age: '16m' }).faults).toEqual(['max_token_age']);
  });

  it('changes nothing for people', () => {
    const { policy } = read({ nonce_binding: 'required' });
    expect(policy).toMatchObject({ maxTokenAgeSeconds: 600, requirements: { emailVerified: true } });
  });
});
