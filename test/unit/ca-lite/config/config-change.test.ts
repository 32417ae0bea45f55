import { expect, test } from 'vitest';
import { judgeChange } from '#ca-lite/config/config-change.ts';
import { parseConfig } from '#ca-lite/config/parse.ts';

const text = (more: string, name = 'Example') => `name = "${name}"\ndns_names = ["ca.example"]\n${more}`;
const policy = '[enrolment]\nnames = ["*.example"]\nports = [22]\n';

test('the same file, and one that says the defaults, is no change', () => {
  const before = parseConfig(text(policy));
  for (const more of [policy, `address = ":8443"\n${policy}[dns]\ntimeout = "5s"\n`]) {
    expect(judgeChange(before, parseConfig(text(more)))).toMatchObject({ taken: [], kept: [] });
  }
});

test('policy is taken, what the CA stands on is kept', () => {
  const before = parseConfig(text(policy));
  const read = parseConfig(
    text(
      `address = ":9443"\n${policy.replace('22', '22, 2222')}[store]\npath = "other"\n[renewal]\nmax_age = "9d"\n`,
      'New',
    ),
  );
  const { config, taken, kept } = judgeChange(before, read);
  expect({ taken, kept }).toEqual({ taken: ['enrolment', 'renewal'], kept: ['name', 'address', 'store'] });
  expect(config).toEqual({ ...before, enrolment: config.enrolment, renewal: config.renewal });
  expect([...config.enrolment.ports]).toEqual([22, 2222]);
  expect(config.renewal.maxAgeSeconds).toBe(9 * 86_400);
});
