import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProgress } from '#agent/cli/progress.ts';
import { collect, createProgram, formatFailure, runProgram } from '#agent/cli/program.ts';
import { Failure, systemErrorCode, systemErrorReason } from '#agent/failure.ts';

let written: string;

beforeEach(() => {
  written = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
});

afterEach(() => vi.restoreAllMocks());

function programWith(action: () => void) {
  const program = createProgram();
  program.command('act').option('--name <name>', 'a name', collect).action(action);
  return program;
}

const run = async (action: () => void, ...args: string[]) =>
  runProgram(programWith(action), ['node', 'countersign', ...args]);

describe('the exit status', () => {
  test('is 0 for work that is done, help and version', async () => {
    expect(await run(() => {}, 'act')).toBe(0);
    expect(await run(() => {}, '--help')).toBe(0);
    expect(await run(() => {}, '--version')).toBe(0);
  });

  test('is 1 for an expected failure, with one sentence, its code and what to do', async () => {
    const failing = () => {
      throw new Failure('out-of-luck', 'it did not work', { advice: 'Try again.\nThen give up.' });
    };
    expect(await run(failing, 'act')).toBe(1);
    expect(written).toBe('countersign: it did not work [out-of-luck]\n  Try again.\n  Then give up.\n');
  });

  test.each([[[]], [['nothing']], [['act', '--what']], [['act', 'more']], [['act', '--name']]])(
    'is 2 for %j',
    async (args) => {
      expect(await run(() => {}, ...args)).toBe(2);
    },
  );

  test('is nothing for a defect: that is thrown', async () => {
    const broken = () => {
      throw new TypeError('a defect');
    };
    await expect(run(broken, 'act')).rejects.toThrow(TypeError);
  });
});

test('a failure without advice is one line', () => {
  expect(formatFailure(new Failure('code', 'what'))).toBe('countersign: what [code]\n');
});

test('codes of the system are told from our own', () => {
  expect(systemErrorCode(Object.assign(new Error('x'), { code: 'ENOSPC' }))).toBe('ENOSPC');
  expect(systemErrorCode(new Failure('busy', 'x'))).toBeUndefined();
  expect(systemErrorCode('ENOSPC')).toBeUndefined();
  expect(systemErrorReason(Object.assign(new Error('x'), { code: 'ENOSPC' }))).toBe('the disk is full');
  expect(systemErrorReason(Object.assign(new Error('x'), { code: 'EWHAT' }))).toBe('EWHAT');
});

describe('progress', () => {
  async function show(isTTY: boolean, silent: boolean): Promise<string> {
    let text = '';
    const progress = createProgress({ isTTY, write: (chunk) => (text += chunk) }, { silent });
    await progress.run('one', async () => Promise.resolve());
    progress.note('two');
    await progress.run('three', async () => Promise.reject(new Error('no'))).catch(() => {});
    return text;
  }

  test('is plain lines in a pipe, and nothing for programs', async () => {
    expect(await show(false, false)).toBe('ok: one\nnote: two\nfailed: three\n');
    expect(await show(false, true)).toBe('');
    expect(await show(true, true)).toBe('');
  });

  test('ends each line on a terminal with its outcome', async () => {
    const lines = (await show(true, false)).split('\n');
    expect(lines.map((line) => stripVTControlCharacters(line.slice(line.lastIndexOf('\r') + 1)))).toEqual([
      '✓ one',
      '! two',
      '✗ three',
      '',
    ]);
  });
});
