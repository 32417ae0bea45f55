/** Shares and passwords at the terminal. */
import { expect, test } from 'vitest';
import {
  collectShares,
  type Person,
  readPassword,
  readShares,
  terminalCustodians,
} from '#ca-lite/yubihsm/setup/person.ts';

/** Somebody who answers, and remembers what happened on the screen. */
function actor(...answers: string[]): Person & { seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    secret: async (question) => {
      seen.push(`asked ${question}`);
      return answers.shift() ?? '';
    },
    wait: async () => void seen.push('waited'),
    show: (text) => void seen.push(`shown ${text.trim()}`),
    wipe: () => void seen.push('wiped'),
  };
}

test('each share is shown to its custodian alone, and wiped before the next', async () => {
  const person = actor();
  await terminalCustodians(person).distribute(['one', 'two']);
  expect(person.seen).toEqual(['waited', 'shown one', 'waited', 'wiped', 'waited', 'shown two', 'waited', 'wiped']);
});

test('as many shares as are needed are asked for', async () => {
  expect(await collectShares(actor('a', 'b', 'c'), 2)).toEqual(['a', 'b']);
  expect(
    await readShares(
      [],
      () => actor('a', 'b', 'c', 'd'),
      () => 3,
    ),
  ).toEqual(['a', 'b', 'c']);
});

test('a new password is asked for twice', async () => {
  const ask = (...answers: string[]): Promise<string> =>
    readPassword('password', {}, () => actor(...answers), { confirm: true });
  expect(await ask('secret', 'secret')).toBe('secret');
  await expect(ask('secret', 'other')).rejects.toMatchObject({ name: 'CommandError' });
  await expect(ask('', '')).rejects.toMatchObject({ name: 'CommandError' });
});

test('a password comes from one place', async () => {
  const both = readPassword('password', { file: 'x', descriptor: 3 }, () => actor());
  await expect(both).rejects.toThrow(/not both/);
  const missing = readPassword('password', { file: '/nonexistent/file' }, () => actor());
  await expect(missing).rejects.toThrow(/cannot be read/);
});
