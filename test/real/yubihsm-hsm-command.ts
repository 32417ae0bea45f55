/** Runs `countersign-ca hsm ...` in this process, and keeps what it prints. */
import { Command } from 'commander';
import { vi } from 'vitest';
import { registerHsm } from '#ca-lite/yubihsm/cli.ts';

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export async function hsm(...words: string[]): Promise<Outcome> {
  const outcome: Outcome = { exitCode: 0, stdout: '', stderr: '' };
  const capture = (key: 'stdout' | 'stderr') => (text: string | Uint8Array) => {
    outcome[key] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(capture('stdout'));
  vi.spyOn(process.stderr, 'write').mockImplementation(capture('stderr'));
  const program = new Command('countersign-ca').exitOverride();
  registerHsm(program);
  process.exitCode = 0;
  try {
    await program.parseAsync(['hsm', ...words], { from: 'user' });
  } finally {
    vi.restoreAllMocks();
    outcome.exitCode = process.exitCode;
    process.exitCode = 0;
  }
  return outcome;
}
