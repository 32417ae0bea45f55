/** What set-up asks for when programs are missing. */
import { expect, test } from 'vitest';
import { missingFor, neededPrograms } from '#build/debian-packages.ts';

test('where everything is there, nothing is asked for', () => {
  expect(missingFor('test', () => true)).toEqual({ programs: [], packages: [] });
});

test('a package with two missing programs is named once', () => {
  const { programs, packages } = missingFor('demo', (program) => !program.startsWith('ssh'));
  expect(programs).toEqual(['sshd', 'ssh', 'ssh-keygen']);
  expect(packages).toEqual(['openssh-server', 'openssh-client']);
});

test('the demo asks for fewer than the tests', () => {
  const forDemo = missingFor('demo', () => false).programs;
  const forTests = missingFor('test', () => false).programs;
  expect(forTests).toEqual(neededPrograms.map(({ program }) => program));
  expect(forTests).toEqual(expect.arrayContaining(forDemo));
  expect(forDemo.length).toBeLessThan(forTests.length);
});
