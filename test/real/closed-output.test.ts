/** Both programs when the reader of their output has gone. */
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { agentProgram, caProgram } from '#test/support/programs.ts';

test.each([
  ['countersign', agentProgram],
  ['countersign-ca', caProgram],
])('%s --help into a pipe that is closed at once', async (_, program) => {
  const { exitCode, stdout, stderr } = await execa('bash', [
    '-c',
    '"$@" --help | true; echo "${PIPESTATUS[0]}"',
    'sh',
    ...program(),
  ]);
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '0', stderr: '' });
});
