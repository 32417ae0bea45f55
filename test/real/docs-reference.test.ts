/**
 * What the reference pages list is what there is: error codes, routes, metrics, keys of ca.toml with their defaults, files, options of the CA's
 * commands, and links. The table of error codes is made from protocol/api-error.ts: `UPDATE_DOCS=1 vitest run test/real/docs-reference.test.ts` writes it.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigText, signerSections } from '#ca-lite/config/schema.ts';
import { formatConfigTemplate } from '#ca-lite/config/template.ts';
import { type ApiErrorCode, errorStatuses } from '#protocol/api-error.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { type CommandGrammar, findUsageFault, readGrammar } from '#test/support/command-grammar.ts';
import { commandsIn, slugOf } from '#test/support/doc-blocks.ts';
import { EnrolmentClient } from '#test/support/enrolment-client.ts';
import { agentProgram, caProgram } from '#test/support/programs.ts';

const root = join(import.meta.dirname, '../..');
const inDocs = (await readdir(join(root, 'docs'), { recursive: true })).filter((name) => name.endsWith('.md'));
const pages = ['README.md', 'SECURITY.md', ...inDocs.map((name) => `docs/${name}`).toSorted()];
const texts = new Map(
  await Promise.all(pages.map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const)),
);
const page = (name: string): string => texts.get(name) ?? '';

let directory: string;
let serving: RunningCa;
let client: EnrolmentClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-docs-'));
  serving = await (await makeCa({ within: directory })).serve();
  client = new EnrolmentClient({ url: serving.url, rootPem: await serving.ca.rootPem() });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await serving[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const codes = Object.entries(errorStatuses) as [ApiErrorCode, number][];

test('docs/http-api.md has the table of error codes', async () => {
  const wanted = codes.map(([code, status]) => [`[\`${code}\`](troubleshooting.md#${code})`, String(status)]);
  const [start, end] = ['<!-- error codes: made from protocol/api-error.ts -->', '<!-- end of error codes -->'];
  const [before = '', rest = ''] = page('docs/http-api.md').split(start);
  const [between = '', after = ''] = rest.split(end);
  if (process.env['UPDATE_DOCS'] === '1') {
    const rows = [['code', 'status'], ['---', '---'], ...wanted].map((row) => `| ${row.join(' | ')} |\n`);
    await writeFile(join(root, 'docs/http-api.md'), `${before}${start}\n\n${rows.join('')}\n${end}${after}`);
    return;
  }
  expect(tableRows(between)).toEqual([['code', 'status'], ...wanted]);
});

describe('docs/troubleshooting.md', () => {
  const [, entries = ''] = page('docs/troubleshooting.md').split('\n## By error code\n');
  const sections = entries.split(/^### /m).slice(1);

  test('has an entry for every code, in the order of the list, and no other', () => {
    expect(sections.map((section) => section.split('\n')[0])).toEqual(codes.map(([code]) => code));
  });

  test.each(codes)('%s: status, what happened, and what to do', (code, status) => {
    const section = sections.find((each) => each.startsWith(`${code}\n`)) ?? '';
    const [, what = '', advice = ''] =
      /^\n\*\*(?:\d+)\.\*\* ([^]+?)\n\*\*Do:\*\* ([^]+)$/.exec(section.slice(code.length + 1)) ?? [];
    expect(section).toContain(`**${status}.** `);
    expect(what.length).toBeGreaterThan(20);
    expect(advice.trim()).toMatch(/^[^]+\.$/);
  });
});

describe('docs/http-api.md', () => {
  test('lists the routes that there are', async () => {
    const { json } = await client.request<{ paths: Record<string, object> }>('GET', '/openapi.json');
    const described = Object.entries(json?.paths ?? {})
      .filter(([path]) => !path.startsWith('/1.0/'))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(firstColumn(page('docs/http-api.md'), 'route')).toEqual(
      new Set([...described, 'GET /metrics', 'GET /openapi.json']),
    );
  });

  test('lists the metrics that there are', async () => {
    const { text } = await client.request('GET', '/metrics');
    const names = [...text.matchAll(/^# HELP (countersign_\w+)/gm)].map(([, name = '']) => name);
    expect(firstColumn(page('docs/http-api.md'), 'metric')).toEqual(new Set(names));
  });
});

describe('keys of ca.toml', () => {
  const rows = tablesOf(page('docs/ca.md')).find(([head]) => head?.[0] === 'key' && head[1] === 'default') ?? [];
  const documented = rows
    .slice(1)
    .map(([key = '', value = '']) => [key.replaceAll('`', ''), value.replaceAll('`', '')] as const);

  test('docs/ca.md has each of them', () => {
    const keys = leavesOf(ConfigText).map((key) => (key.startsWith('oidc.') ? '[[oidc]]' : key));
    expect(new Set(documented.map(([key]) => key))).toEqual(new Set(keys));
  });

  test('with the defaults that init writes', () => {
    const lists = { enrolNames: [], enrolAddresses: [], userPrincipals: [] };
    const template = parse(formatConfigTemplate({ name: 'x', dnsNames: ['x'], address: ':8443', ...lists }));
    for (const [key, value] of documented.filter(([, text]) => text !== '')) {
      const written = key
        .split('.')
        .reduce<unknown>((table, part) => (table as Record<string, unknown>)[part], template);
      expect({ key, value: parse(`value = ${value}`)['value'] }).toEqual({ key, value: written });
    }
  });

  const elsewhere = [
    ['docs/yubihsm.md', leavesOf(signerSections.yubihsm)],
    ['docs/yubihsm.md', leavesOf(signerSections.pkcs11)],
    ['docs/oidc.md', leavesOf(ConfigText).filter((key) => key.startsWith('oidc.'))],
  ] as const;

  test.each(elsewhere)('%s has those of its section', (name, keys) => {
    const words = keys.map((key) => key.replace(/^oidc\./, '').split('.')[0] ?? '');
    expect(words.filter((word) => !new RegExp(`\\b${word}\\b`).test(page(name)))).toEqual([]);
  });
});

describe('docs/files.md', () => {
  test('lists the files of a CA directory that serves', async () => {
    const base = serving.ca.directory;
    const entries = await readdir(base, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(base, join(entry.parentPath, entry.name)));
    const [table = []] = tablesOf(page('docs/files.md'));
    const listed = table.slice(1).flatMap(([cell = '']) => namesIn(cell));
    const sometimes = [
      'certs/intermediate_ca.csr',
      'db/countersign.sqlite-wal',
      'db/countersign.sqlite-shm',
      'secrets/ssh_TYPE_ca_NUMBER.key',
    ];
    expect(new Set(listed)).toEqual(new Set([...files, ...sometimes]));
  });
});

/** The others have pages of their own. */
const aboutCa = new Set(
  'init import-intermediate serve token certs show hosts audit check-config backup restore'.split(' '),
);
/** Names of things, which look like commands. */
const noCommands = /^countersign host (CA|template)\b/;

describe('commands', () => {
  const grammars = new Map<string, CommandGrammar>();

  beforeAll(async () => {
    grammars.set('countersign', await readGrammar('countersign', agentProgram()));
    grammars.set('countersign-ca', await readGrammar('countersign-ca', caProgram()));
  });

  test('docs/ca.md has every option of the commands that it is about', () => {
    const commands = [...(grammars.get('countersign-ca')?.commands ?? [])].filter(([name]) => aboutCa.has(name));
    expect(new Set(commands.map(([name]) => name))).toEqual(aboutCa);
    const missing = commands
      .flatMap(([, grammar]) => allCommands(grammar))
      .flatMap(({ path, options }) => [...options.keys()].map((flag) => ({ flag, command: path.join(' ') })))
      .filter(({ flag }) => flag.startsWith('--') && flag !== '--help' && flag !== '--dir')
      .filter(({ flag }) => !new RegExp(`${flag}(?![\\w-])`).test(page('docs/ca.md')));
    expect(missing).toEqual([]);
  });

  test('messages of the programs name commands that there are', async () => {
    const wrong: string[] = [];
    for (const file of await sources()) {
      const text = await readFile(join(root, file), 'utf8');
      for (const [, command = ''] of text.matchAll(/\b(countersign(?:-ca)? [a-z][^`'"\n.,;)]*)/g)) {
        if (noCommands.test(command) || !isCommandText(command, grammars)) continue;
        for (const words of commandsIn(command.replace(/\$\{[^}]*\}?/g, 'X'))) {
          const fault = findUsageFault(grammars.get(words[0] ?? '') ?? fail(words), words, { whole: false });
          // Prose goes on behind a command, and looks like arguments.
          if (fault !== undefined && !fault.includes('no more arguments')) wrong.push(`${file}: ${command}: ${fault}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('links in the documentation lead somewhere', () => {
  const dead = pages.flatMap((name) =>
    [...page(name).matchAll(/\]\((?!https?:)([^)\s]*)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !leadsSomewhere(name, target))
      .map((target) => `${name}: ${target}`),
  );
  expect(dead).toEqual([]);
});

function leadsSomewhere(from: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? from : relative(root, join(root, dirname(from), path));
  if (!existsSync(join(root, file))) return false;
  if (anchor === undefined) return true;
  return page(file)
    .split('\n')
    .some((line) => slugOf(line) === anchor);
}

/** Rows of one table as cells, without the line under its head. */
function tableRows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => /^\s*\|/.test(line) && !/^\s*\|[\s|:-]+\|\s*$/.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function tablesOf(text: string): string[][][] {
  return text
    .split(/\n\s*\n/)
    .map(tableRows)
    .filter((rows) => rows.length > 0);
}

/** The first cell of each row of the table with that head, without its quotes. */
function firstColumn(text: string, head: string): Set<string> {
  const rows = tablesOf(text).find(([first]) => first?.[0] === head) ?? [];
  return new Set(rows.slice(1).map(([cell = '']) => cell.replaceAll('`', '')));
}

/** `db/a-wal`, `-shm` are two names. */
function namesIn(cell: string): string[] {
  const [first = '', ...others] = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  return [first, ...others.map((name) => (name.startsWith('-') ? first.replace(/-[a-z]+$/, name) : name))];
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
}

/** Dotted paths of everything that can be set, arrays of tables included. */
function leavesOf(schema: unknown, prefix = ''): string[] {
  const shape = schema as Shape;
  const inner = shape.properties ?? shape.items?.properties;
  if (inner === undefined) return [prefix];
  return Object.entries(inner).flatMap(([key, below]) => leavesOf(below, prefix === '' ? key : `${prefix}.${key}`));
}

function allCommands(grammar: CommandGrammar | undefined): CommandGrammar[] {
  return grammar === undefined ? [] : [grammar, ...[...new Set(grammar.commands.values())].flatMap(allCommands)];
}

async function sources(): Promise<string[]> {
  const rooms = await Promise.all(
    ['ca-lite', 'agent'].map(async (room) =>
      (await readdir(join(root, room), { recursive: true })).map((name) => join(room, name)),
    ),
  );
  return rooms.flat().filter((name) => name.endsWith('.ts'));
}

/** The program's name followed by one of its commands; prose goes on otherwise. */
function isCommandText(text: string, grammars: ReadonlyMap<string, CommandGrammar>): boolean {
  const [program = '', command = ''] = text.split(/\s+/);
  return grammars.get(program)?.commands.has(command) === true;
}

function fail(words: readonly string[]): never {
  throw new Error(`no program ${words[0]}`);
}
