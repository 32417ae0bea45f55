/** The rooms check fails on what it is there to stop, lets through what is right, and finds nothing in this tree. */
import { describe, expect, test } from 'vitest';
import { checkSourceTree, formatViolation, readSourceTree } from '#build/check-rooms.ts';
import { checkRooms, type Rule } from '#build/rooms.ts';
import { readFacts } from '#build/source-facts.ts';

const manifest = {
  dependencies: {
    fastify: '1',
    typebox: '1',
    sshpk: '1',
    ssh2: '1',
    jose: '1',
    '@peculiar/x509': '1',
    pg: '1',
    keytar: '1',
  },
  devDependencies: { vitest: '1', electron: '1', execa: '1', esbuild: '1' },
};

function rulesBroken(files: Record<string, string>): Rule[] {
  const facts = Object.entries(files).map(([path, source]) => readFacts({ path, source }));
  return checkRooms(facts, manifest).map(({ rule }) => rule);
}

test('this source tree breaks no rule', { timeout: 120_000 }, () => {
  expect(readSourceTree().map(({ path }) => path)).toContain('build/rooms.ts');
  expect(checkSourceTree().map(formatViolation)).toEqual([]);
});

describe('arrows', () => {
  test.each([
    ['openssh/key.ts', '#protocol/ott.ts'],
    ['openssh/key.ts', '#ca-lite/store.ts'],
    ['protocol/ott.ts', '#agent/socket.ts'],
    ['ca-lite/main.ts', '#agent/socket.ts'],
    ['agent/main.ts', '#ca-lite/main.ts'],
    ['agent/main.ts', '#tray/main.ts'],
    ['tray/main.ts', '#openssh/key.ts'],
    ['tray/main.ts', '#agent/control.ts'],
    ['ca-lite/main.ts', '#test/simulator/hsm.ts'],
    ['build/demo.ts', '#ca-lite/main.ts'],
    ['build/demo.ts', '#test/demo/main.ts'],
    ['ca-lite/main.ts', '#build/build.ts'],
    ['vitest.config.ts', '#openssh/key.ts'],
    ['ca-lite/main.ts', '#unknown/room.ts'],
  ])('%s must not import %s', (path, target) => {
    expect(rulesBroken({ [path]: `import { x } from '${target}';` })).toEqual(['arrow']);
  });

  test.each([
    ['protocol/ott.ts', '#openssh/key.ts'],
    ['ca-lite/main.ts', '#openssh/key.ts'],
    ['ca-lite/main.ts', '#protocol/ott.ts'],
    ['agent/host/main.ts', '#protocol/ott.ts'],
    ['tray/main.ts', '#protocol/control.ts'],
    ['test/unit/a.test.ts', '#ca-lite/main.ts'],
    ['test/unit/a.test.ts', '#build/rooms.ts'],
    ['test/unit/a.test.ts', '#test/simulator/hsm.ts'],
    ['ca-lite/main.ts', './store/sqlite.ts'],
    ['ca-lite/store/sqlite.ts', '../main.ts'],
  ])('%s may import %s', (path, target) => {
    expect(rulesBroken({ [path]: `import { x } from '${target}';` })).toEqual([]);
  });

  test.each([
    `import type { X } from '#agent/x.ts';`,
    `import { type X } from '#agent/x.ts';`,
    `import '#agent/x.ts';`,
    `import * as x from '#agent/x.ts';`,
    `import x from '../agent/x.ts';`,
    `export { x } from '#agent/x.ts'; export const y = 1;`,
    `export * from '#agent/x.ts'; export const y = 1;`,
    `const x = await import('#agent/x.ts');`,
    `type X = import('#agent/x.ts').X;`,
    `import x = require('#agent/x.ts');`,
    `new Worker(new URL('../agent/x.ts', import.meta.url));`,
  ])('is seen however it is written: %s', (source) => {
    expect(rulesBroken({ 'ca-lite/main.ts': source })).toContain('arrow');
  });

  test('text that only looks like an import is none', () => {
    const source = `// import '#agent/x.ts';\nexport const text = "import '#agent/x.ts'";`;
    expect(rulesBroken({ 'ca-lite/main.ts': source })).toEqual([]);
  });

  test('only protocol/version.ts reads package.json in what ships', () => {
    const source = `import manifest from '../package.json' with { type: 'json' };`;
    expect(rulesBroken({ 'protocol/version.ts': source })).toEqual([]);
    expect(rulesBroken({ 'ca-lite/main.ts': source })).toEqual(['arrow']);
  });

  test.each([
    ['ca-lite/main.ts', '#ca-lite/store/sqlite.ts'],
    ['ca-lite/main.ts', '../openssh/key.ts'],
    ['test/unit/a.test.ts', '../../openssh/key.ts'],
  ])('%s must write %s the other way', (path, target) => {
    expect(rulesBroken({ [path]: `import { x } from '${target}';` })).toEqual(['room-path']);
  });
});

describe('imports that hide', () => {
  test.each([`await import(name);`, 'await import(`#agent/${name}.ts`);'])('%s', (source) => {
    expect(rulesBroken({ 'ca-lite/main.ts': source })).toEqual(['computed-import']);
    expect(rulesBroken({ 'test/unit/a.test.ts': source })).toEqual([]);
  });

  test.each([
    `const fs = require('node:fs');`,
    `import { createRequire } from 'node:module'; const load = createRequire(import.meta.url);`,
  ])('%s', (source) => {
    expect(rulesBroken({ 'ca-lite/main.ts': source })).toEqual(['require']);
  });
});

describe('packages', () => {
  test.each([
    ['ca-lite/main.ts', 'left-pad', 'package-undeclared'],
    ['ca-lite/main.ts', 'fs', 'package-undeclared'],
    ['ca-lite/main.ts', 'execa', 'package-undeclared'],
    ['agent/main.ts', 'vitest', 'package-undeclared'],
    ['agent/main.ts', 'electron', 'package-home'],
    ['ca-lite/main.ts', 'electron', 'package-home'],
    ['tray/main.ts', 'keytar', 'package-home'],
    ['ca-lite/main.ts', 'keytar', 'package-home'],
    ['agent/main.ts', 'node:sqlite', 'package-home'],
    ['agent/main.ts', 'pg', 'package-home'],
  ])('%s must not import %s', (path, name, rule) => {
    expect(rulesBroken({ [path]: `import x from '${name}';` })).toEqual([rule]);
  });

  test.each([
    ['ca-lite/main.ts', 'fastify'],
    ['ca-lite/main.ts', '@peculiar/x509'],
    ['ca-lite/main.ts', 'node:fs'],
    ['agent/user/keychain.ts', 'keytar'],
    ['tray/main.ts', 'electron'],
    ['build/build.ts', 'esbuild'],
    ['test/unit/a.test.ts', 'vitest'],
    ['vitest.config.ts', 'vitest/config'],
  ])('%s may import %s', (path, name) => {
    expect(rulesBroken({ [path]: `import x from '${name}';` })).toEqual([]);
  });
});

describe('pure rooms', () => {
  test.each([
    `import { readFileSync } from 'node:fs';`,
    `import type { Socket } from 'node:net';`,
    `import { setTimeout as wait } from 'node:timers/promises';`,
    `import { randomBytes } from 'node:crypto';`,
    `import { sign, randomUUID as id } from 'node:crypto';`,
    `import { getRandomValues } from 'node:crypto';`,
    `import { generateKeyPairSync } from 'node:crypto';`,
    `import { webcrypto } from 'node:crypto';`,
    `import * as crypto from 'node:crypto';`,
    `import crypto from 'node:crypto';`,
    `export * from 'node:crypto'; export const x = 1;`,
    `const { randomBytes } = await import('node:crypto');`,
    `import { createServer } from 'fastify';`,
    `import { parseKey } from 'sshpk';`,
  ])('%s', (source) => {
    expect(rulesBroken({ 'openssh/key.ts': source })).toContain('pure-import');
    expect(rulesBroken({ 'protocol/key.ts': source })).toContain('pure-import');
  });

  test.each([
    'const now = Date.now();',
    'const now = new Date();',
    'const now = new Date;',
    'const now = Date();',
    'const { now } = Date;',
    "const now = Date['now']();",
    'const clock = Date;',
    'const x = Math.random();',
    'const { random } = Math;',
    'setTimeout(() => {}, 1);',
    'setInterval(() => {}, 1);',
    'setImmediate(() => {});',
    'const home = process.env.HOME;',
    'const all = { process };',
    "console.log('x');",
    "void fetch('https://ca.example');",
    'const x = performance.now();',
    'const x = crypto.randomUUID();',
    'const x = globalThis.Date.now();',
    'const x = AbortSignal.timeout(1);',
    'const here = import.meta.url;',
    'const f = (clock = Date.now) => clock();',
    'class A { at = Date.now(); }',
    'const x = (process as unknown as { pid: number }).pid;',
  ])('%s', (source) => {
    expect(rulesBroken({ 'openssh/key.ts': source })).toContain('pure-global');
    expect(rulesBroken({ 'ca-lite/key.ts': source })).toEqual([]);
  });

  test.each([
    `import { createHash, sign, verify, KeyObject, type webcrypto } from 'node:crypto';`,
    `import type { RandomUUIDOptions } from 'node:crypto';`,
    `import { Buffer } from 'node:buffer';`,
    'const at = new Date(0); const text = Date.UTC(2026, 1); const is = at instanceof Date;',
    'export function format(at: Date): string { return at.toISOString(); }',
    'const most = Math.max(1, 2);',
    'const x = certificate.process; const y = { console: 1, fetch() {} };',
    'export interface Options { process: string; performance: number }',
    'const x: typeof process = y;',
    "// Date.now()\nexport const text = 'Date.now()';",
  ])('let pass: %s', (source) => {
    expect(rulesBroken({ 'openssh/key.ts': source })).toEqual([]);
  });

  test('typebox is for protocol, sshpk for the reader of foreign keys alone', () => {
    expect(rulesBroken({ 'protocol/ott.ts': `import { Value } from 'typebox/value';` })).toEqual([]);
    expect(rulesBroken({ 'openssh/key.ts': `import { Value } from 'typebox/value';` })).toEqual(['pure-import']);
    expect(rulesBroken({ 'openssh/foreign-key.ts': `import sshpk from 'sshpk';` })).toEqual([]);
    expect(rulesBroken({ 'protocol/foreign-key.ts': `import sshpk from 'sshpk';` })).toEqual(['pure-import']);
  });
});

describe('cycles', () => {
  test.each([`import './a.ts';`, `import { type A } from './a.ts';`, `await import('./a.ts');`])('%s', (back) => {
    expect(rulesBroken({ 'agent/a.ts': `import './b.ts';`, 'agent/b.ts': back })).toEqual(['cycle']);
  });

  test.each([`import type { A } from './a.ts';`, `type A = import('./a.ts').A;`])('none: %s', (back) => {
    expect(rulesBroken({ 'agent/a.ts': `import './b.ts';`, 'agent/b.ts': back })).toEqual([]);
  });

  test('the long way round', () => {
    const files = {
      'test/a.ts': `import './b.ts';`,
      'test/b.ts': `import '#test/c.ts';`,
      'test/c.ts': `import './a.ts';`,
    };
    expect(rulesBroken(files)).toEqual(['cycle']);
  });

  test('one file', () => {
    expect(rulesBroken({ 'agent/a.ts': `import './a.ts';` })).toEqual(['cycle']);
  });

  test('a diamond is none', () => {
    const files = {
      'agent/a.ts': `import './b.ts'; import './c.ts';`,
      'agent/b.ts': `import './d.ts';`,
      'agent/c.ts': `import './d.ts';`,
      'agent/d.ts': 'export const d = 1;',
    };
    expect(rulesBroken(files)).toEqual([]);
  });
});

describe('files', () => {
  test.each([
    `export * from './a.ts';`,
    `export { a } from './a.ts'; export { b } from './b.ts';`,
    `export type { A } from './a.ts';`,
    `import { a } from './a.ts'; export { a };`,
  ])('a barrel: %s', (source) => {
    expect(rulesBroken({ 'agent/index.ts': source })).toEqual(['barrel']);
  });

  test.each([`export { a } from './a.ts'; export const b = 1;`, 'export {};', ''])('no barrel: %s', (source) => {
    expect(rulesBroken({ 'agent/socket.ts': source })).toEqual([]);
  });

  test.each([
    'agent/utils.ts',
    'agent/helper.ts',
    'agent/common.ts',
    'agent/helpers/socket.ts',
    'agent/socket-utils.ts',
    'agent/Socket.ts',
    'agent/socket_path.ts',
  ])('%s is no name', (path) => {
    expect(rulesBroken({ [path]: 'export const a = 1;' })).toEqual(['file-name']);
  });

  test.each([
    'agent/main.ts',
    'agent/user/askpass-helper.ts',
    'ca-lite/x509/common-name.ts',
    'test/unit/socket.test.ts',
    'vitest.config.ts',
  ])('%s is a name', (path) => {
    expect(rulesBroken({ [path]: 'export const a = 1;' })).toEqual([]);
  });
});

test('a violation says file, line and rule', () => {
  const facts = readFacts({ path: 'ca-lite/main.ts', source: `\n\nimport '#agent/x.ts';` });
  expect(checkRooms([facts], manifest)).toMatchObject([{ rule: 'arrow', path: 'ca-lite/main.ts', line: 3 }]);
});

test('what does not parse is no pass', () => {
  expect(() => readFacts({ path: 'agent/a.ts', source: 'import from;' })).toThrow(
    expect.objectContaining({ code: 'unreadable-source' }),
  );
});
