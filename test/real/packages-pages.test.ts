/**
 * What the packages hold beside the programs: man pages that say what the programs say, completions as the shells give them, and what Debian's
 * own judges find. Programs are asked by `--help`, which the man pages are not made from.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { executables } from '#build/executables.ts';
import { buildPackage } from '#build/packages/package.ts';
import { libraries, packages } from '#build/packages/package-plan.ts';
import { readPackageTree } from '#build/packages/package-tree.ts';
import { type CommandGrammar, readGrammar } from '#test/support/command-grammar.ts';
import { makeLabDirectory } from '#test/support/lab-directory.ts';
import { agentProgram, caProgram } from '#test/support/programs.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const date = new Date('2026-01-01T00:00:00Z');
const programs = new Map([
  ['countersign', agentProgram()],
  ['countersign-ca', caProgram()],
]);

let directory: string;
/** Man pages by path, uncompressed. */
const pages = new Map<string, string>();
const grammars = new Map<string, CommandGrammar>();

beforeAll(async () => {
  directory = await makeLabDirectory();
  for (const plan of packages) {
    const { files } = await readPackageTree(plan, '1.0', date);
    for (const [target, content] of files) {
      const path = join(directory, target.replace(/\.gz$/, ''));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, target.endsWith('.gz') ? gunzipSync(content) : content);
      if (target.includes('/man/')) pages.set(path, await readFile(path, 'utf8'));
    }
  }
  for (const [name, program] of programs) grammars.set(name, await readGrammar(name, program));
});

afterAll(async () => rm(directory, { recursive: true, force: true }));

/** Every command by its words, aliases left out. */
function commandsOf(grammar: CommandGrammar | undefined): CommandGrammar[] {
  return grammar === undefined ? [] : [grammar, ...[...new Set(grammar.commands.values())].flatMap(commandsOf)];
}

describe('man pages', () => {
  test('have a section for each command with its options, and no other', () => {
    const documented = new Map(
      [...pages.values()].flatMap((text) =>
        text
          .split(/^\.S[sh] /m)
          .filter((section) => section.startsWith('countersign'))
          .map((section) => [section.slice(0, section.indexOf('\n')), flagsIn(section)] as const),
      ),
    );
    const wanted = [...grammars.values()]
      .flatMap(commandsOf)
      .filter(({ path }) => documented.has(path.join(' ')) || !leadsOnly(path))
      .map(({ path, options }) => [path.join(' '), [...options.keys()].filter(isShown).toSorted()] as const);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(wanted));
  });

  test('name every command', () => {
    for (const grammar of grammars.values()) {
      const [name = ''] = grammar.path;
      const text = [...pages].find(([path]) => new RegExp(`/${name}\\.\\d$`).test(path))?.[1] ?? '';
      const named = [...text.matchAll(/^\.It Cm (\S+)$/gm)].map(([, word = '']) => word);
      expect(new Set(named)).toEqual(new Set([...new Set(grammar.commands.values())].map(({ path }) => path[1])));
    }
  });

  test('mandoc has nothing to say about them', async () => {
    const { stdout } = await execa('mandoc', ['-Tlint', ...pages.keys()], { reject: false });
    const found = stdout.split('\n').filter((line) => line !== '' && !line.includes('referenced manual not found'));
    expect(found).toEqual([]);
  });

  test('man shows them without a warning', async () => {
    for (const path of pages.keys()) {
      const { stdout, stderr } = await execa('man', ['--warnings', '--local-file', path], { env: { MANWIDTH: '80' } });
      expect({ path, stderr }).toEqual({ path, stderr: '' });
      expect(stdout).toContain('EXIT STATUS');
    }
  });

  test('the pages that they refer to, of ours, are there', () => {
    const names = new Set([...pages.keys()].map((path) => path.replace(/.*\//, '')));
    const referred = [...pages.values()].flatMap((text) =>
      [...text.matchAll(/^\.Xr (countersign\S*) (\d)/gm)].map(([, name = '', section = '']) => `${name}.${section}`),
    );
    expect(referred.filter((name) => !names.has(name))).toEqual([]);
  });

  /** A word like `host`, which does nothing by itself. */
  function leadsOnly(path: readonly string[]): boolean {
    return (
      path.length === 1 ||
      (['host', 'agent-service', 'ssh-config', 'rotate', 'hsm'].includes(path[1] ?? '') && path.length === 2)
    );
  }

  function flagsIn(section: string): string[] {
    const items = section.split('\n').filter((line) => line.startsWith('.It Fl'));
    return items.flatMap((line) => [...line.matchAll(/Fl (\S+)/g)].map(([, flag = '']) => `-${flag}`)).toSorted();
  }

  /** Help lists itself; a page needs not. */
  function isShown(flag: string): boolean {
    return flag !== '-h' && flag !== '--help';
  }
});

describe('completions', () => {
  const cases: readonly (readonly [line: string, offered: readonly string[]])[] = [
    ['countersign host enr', ['enroll']],
    ['countersign host enrol --dry', ['--dry-run']],
    ['countersign host enroll --state-dir host --re', ['--reload', '--replace']],
    ['countersign-ca init --key-type rsa', ['rsa-3072', 'rsa-4096']],
    ['countersign-ca rotate start --type ', ['host', 'user']],
    ['countersign-ca hsm init --way t', ['template']],
  ];

  test.each(cases)('bash: %s', async (line, offered) => {
    const [program = ''] = line.split(' ');
    const file = join(directory, 'usr/share/bash-completion/completions', program);
    // As Readline does it: the function that `complete -F` named, with the words and the place of the cursor.
    const script = `
      . "$1"
      IFS=' ' read -ra COMP_WORDS <<<"$2"
      [[ $2 != *' ' ]] || COMP_WORDS+=('')
      COMP_LINE=$2 COMP_POINT=\${#2} COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      [[ $(complete -p "$3") =~ -F\\ ([^ ]+) ]]
      "\${BASH_REMATCH[1]}" "$3" "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await execa('bash', ['--norc', '-euc', script, 'bash', file, line, program]);
    expect(wordsOf(stdout)).toEqual(offered);
  });

  test.each(cases)('zsh: %s', async (line, offered) => {
    const output = await mkdtemp(join(directory, 'zsh-'));
    const script = join(import.meta.dirname, 'packages-zsh.zsh');
    const completions = join(directory, 'usr/share/zsh/vendor-completions');
    await execa('zsh', ['-f', script, completions, join(output, 'offered'), line], {
      env: { HOME: output, TERM: 'dumb' },
    });
    const said = wordsOf(await readFile(join(output, 'offered'), 'utf8')).filter((word) => word !== '(end)');
    const start = line.slice(line.lastIndexOf(' ') + 1);
    expect(said.filter((word) => word.startsWith(start))).toEqual(offered);
  });

  test.each(cases)('fish: %s', async (line, offered) => {
    const file = join(directory, 'usr/share/fish/vendor_completions.d', `${line.split(' ')[0]}.fish`);
    const home = join(directory, 'fish');
    const { stdout } = await execa(
      'fish',
      ['--no-config', '--command', `source ${file}; complete --do-complete '${line}'`],
      {
        env: { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home },
      },
    );
    expect(wordsOf(stdout.replaceAll(/\t.*$/gm, ''))).toEqual(offered);
  });

  test('bash offers every command and every option', async () => {
    for (const grammar of [...grammars.values()].flatMap(commandsOf)) {
      const text = await readFile(
        join(directory, 'usr/share/bash-completion/completions', grammar.path[0] ?? ''),
        'utf8',
      );
      const own = text.split('\n').find((line) => line.trim().startsWith(`'${grammar.path.join(' ')}') if`)) ?? '';
      const words = own.split(/[\s':;]+/);
      expect(words).toEqual(expect.arrayContaining([...grammar.options.keys()]));
    }
  });

  function wordsOf(text: string): string[] {
    return [...new Set(text.split('\n').filter((word) => word !== ''))].toSorted();
  }
});

describe('packages', () => {
  /** A program that is quick to pack stands for ours; everything else is as it ships. */
  async function packSmall(name: string): Promise<string[]> {
    const into = await mkdtemp(join(directory, `${name}-`));
    for (const { name: program } of executables) await copyFile('/usr/bin/true', join(into, program));
    const paths: string[] = [];
    for (const plan of packages) paths.push((await buildPackage(plan, { directory: into, version: '1.0', date })).path);
    return paths;
  }

  test('are the same, byte for byte, when made again', async () => {
    const [first, second] = [await packSmall('first'), await packSmall('second')];
    for (const [at, path] of first.entries()) {
      expect((await readFile(path)).equals(await readFile(second[at] ?? ''))).toBe(true);
    }
  });

  test('lintian finds no fault', async () => {
    const { stdout } = await execa('lintian', ['--allow-root', '--fail-on=none', ...(await packSmall('lintian'))], {
      reject: false,
    });
    // overrides are about the real executables
    expect(
      stdout.split('\n').filter((line) => line !== '' && !/^[NI]: /.test(line) && !/mismatched-override/.test(line)),
    ).toEqual([]);
  });

  test('say which libraries the executables need', async () => {
    const { stdout } = await execa('objdump', ['--private-headers', process.execPath]);
    const needed = stdout.slice(stdout.indexOf('Version References'));
    const newest = (prefix: string) => versionsIn(needed, prefix).at(-1);
    expect(newest('GLIBC')).toBe(libraries.libc6);
    expect(newest('GLIBCXX')).toBe('3.4.21'); // of libstdc++6 5
    expect(Number.parseInt(libraries['libstdc++6'], 10)).toBe(5);
  });

  function versionsIn(text: string, prefix: string): string[] {
    const found = [...text.matchAll(new RegExp(`\\b${prefix}_([0-9.]+)`, 'g'))].map(([, version = '']) => version);
    return found.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }
});
