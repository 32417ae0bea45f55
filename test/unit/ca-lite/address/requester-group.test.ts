import { expect, it } from 'vitest';
import { requesterGroup } from '#ca-lite/address/requester-group.ts';

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['gone', 'gone'],
])('%s counts as %s', (requester, group) => {
  expect(requesterGroup(requester)).toBe(group);
});
