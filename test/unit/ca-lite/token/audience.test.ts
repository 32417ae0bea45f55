import { describe, expect, it } from 'vitest';
import { isOwnAudience } from '#ca-lite/token/audience.ts';

const names = ['ca.example.com', '10.0.0.1', 'fd00::1'];

describe('audiences', () => {
  it.each([
    'https://ca.example.com/ssh/sign',
    'https://ca.example.com/1.0/ssh/sign',
    'https://ca.example.com:9000/1.0/ssh/sign',
    'https://CA.example.com/ssh/sign',
    'https://10.0.0.1:8443/ssh/sign',
    'https://[fd00::1]:8443/ssh/sign',
  ])('%s is ours', (audience) => {
    expect(isOwnAudience(audience, names, 'ssh/sign')).toBe(true);
  });

  it.each([
    '',
    'ca.example.com',
    'http://ca.example.com/ssh/sign',
    'https://evil.example.com/ssh/sign',
    'https://ca.example.com.evil.net/ssh/sign',
    'https://ca.example.com@evil.net/ssh/sign',
    'https://user@ca.example.com/ssh/sign',
    'https://ca.example.com/ssh/sign?x',
    'https://ca.example.com/ssh/sign#x',
    'https://ca.example.com/ssh/renew',
    'https://ca.example.com/2.0/ssh/sign',
    'https://ca.example.com/x/../ssh/revoke',
  ])('%s is not', (audience) => {
    expect(isOwnAudience(audience, names, 'ssh/sign')).toBe(false);
  });
});
