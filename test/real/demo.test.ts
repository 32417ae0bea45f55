/** `npm run demo`, once, with the programs under test: it ends well, signs a person in, asks nothing, reaches three hosts, and leaves nothing behind. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hosts } from '#test/demo/stage.ts';
import { programKind } from '#test/support/programs.ts';

const root = join(import.meta.dirname, '../..');
let temporary: string;
let exitCode: number | undefined;
let output: string;

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'countersign-demo-test-'));
  // As a newcomer has it: no terminal, no agent, a home without known hosts.
  const env = { TMPDIR: temporary, HOME: temporary, COUNTERSIGN_PROGRAMS: programKind, SSH_AUTH_SOCK: '' };
  const ended = await execa('npm', ['run', 'demo'], { cwd: root, env, all: true, reject: false, stdin: 'ignore' });
  ({ exitCode, all: output } = ended);
}, 300_000);

afterAll(async () => rm(temporary, { recursive: true, force: true }));

describe('npm run demo', () => {
  test('ends well', () => {
    expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
    expect(output).toContain('Done.');
  });

  test('enrols each host and reaches each by ssh', () => {
    for (const { name } of hosts) {
      expect(output).toContain(`certified for ${name}`);
      expect(output).toContain(`$ ssh ${name} `);
    }
    const connected = output
      .split('\n')
      .filter((line) => line.trim() === 'connected to the host with the key that the CA certified');
    expect(connected).toHaveLength(hosts.length);
  });

  test('signs alice in at an OpenID provider', () => {
    expect(output).toContain('$ countersign login');
    expect(output).toMatch(/Signed in with demo: alice@demo\.internal /);
    expect(output).not.toContain('id_ed25519'); // no key of a user on a disk
  });

  test('is never asked, warned or told to accept a key', () => {
    expect(output).not.toMatch(
      /authenticity of host|continue connecting|REMOTE HOST IDENTIFICATION|Permanently added|password:/i,
    );
  });

  test('shows a whole audit log and every host', () => {
    expect(output).toContain('The audit log is whole');
    for (const { name, address } of hosts) expect(output).toMatch(new RegExp(`${name} +${address} +enrolled`));
  });

  test('leaves no file behind', async () => {
    const left = (await readdir(temporary)).filter((name) => name !== '.npm' && !name.startsWith('node-compile-cache'));
    expect(left).toEqual([]);
  });

  test('leaves no process behind', async () => {
    expect(await processesThatName(temporary)).toEqual([]);
  });
});

/** Command lines of all processes in which the text stands. */
async function processesThatName(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map(async (pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.map((line) => line.replaceAll('\0', ' ')).filter((line) => line.includes(text));
}
