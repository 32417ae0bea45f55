/** The reader of commands in Markdown: what it misses, no test would run. */
import { describe, expect, test } from 'vitest';
import { type CommandGrammar, findUsageFault } from '#test/support/command-grammar.ts';
import {
  commandsIn,
  commandsInText,
  commandsOfBlock,
  commandsOfUsage,
  extractBlocks,
  logicalLines,
} from '#test/support/doc-blocks.ts';

const fence = '```';

describe('extractBlocks', () => {
  test('numbers blocks of one language below one heading', () => {
    const page = `# A page\n${fence}sh\none\n${fence}\n${fence}text\nout\n${fence}\n${fence}sh\ntwo\n${fence}\n## Back up, restore\n${fence}sh\nthree\n${fence}\n`;
    const ids = extractBlocks('docs/x.md', page).map(({ id, language, text }) => [id, language, text.trim()]);
    expect(ids).toEqual([
      ['docs/x.md#a-page/1', 'sh', 'one'],
      ['docs/x.md#a-page/1', 'text', 'out'],
      ['docs/x.md#a-page/2', 'sh', 'two'],
      ['docs/x.md#back-up-restore/1', 'sh', 'three'],
    ]);
  });

  test('takes the indentation of a list away, and no more', () => {
    const page = `1. Do\n\n   ${fence}sh\n   if true; then\n     echo\n   fi\n   ${fence}\n`;
    expect(extractBlocks('x', page)[0]?.text).toBe('if true; then\n  echo\nfi\n');
  });

  test('takes a heading inside a block for what it is', () => {
    const [block] = extractBlocks('x', `# Page\n${fence}sh\n# comment\ntrue\n${fence}\n`);
    expect(block?.text).toBe('# comment\ntrue\n');
  });

  test('refuses a fence that is never closed', () => {
    expect(() => extractBlocks('x', `${fence}sh\ntrue\n`)).toThrow('never closed');
  });
});

test('logicalLines joins what is continued, and leaves out comments and here-documents', () => {
  const script = '# why\none \\\n  --two\ncat <<EOF >file\ncountersign nonsense\nEOF\nthree\n';
  expect(logicalLines(script)).toEqual(['one    --two', 'cat <<EOF >file', 'three']);
});

describe('commandsIn', () => {
  const cases: Record<string, string[][]> = {
    "countersign-ca init --allow-name '**.x' >log": [['countersign-ca', 'init', '--allow-name', '**.x']],
    'sudo countersign host enroll && echo done': [['countersign', 'host', 'enroll']],
    'runuser -u countersign-ca -- countersign-ca hosts --json | jq .': [['countersign-ca', 'hosts', '--json']],
    'TOKEN=$(countersign-ca token --user alice 2>/dev/null)': [['countersign-ca', 'token', '--user', 'alice']],
    'COUNTERSIGN_CA_DIR=x countersign-ca audit; countersign doctor': [
      ['countersign-ca', 'audit'],
      ['countersign', 'doctor'],
    ],
    'systemctl restart countersign-ca': [],
    'install dist/countersign-ca /usr/local/bin/': [],
  };

  test.each(Object.entries(cases))('%s', (line, commands) => {
    expect(commandsIn(line)).toEqual(commands);
  });
});

test('commands are found in running text, in blocks and in usage', () => {
  const page = `Run \`countersign host status\` or \`countersign-ca\`.\n${fence}sh\ncountersign doctor\n${fence}\n${fence}usage\ncountersign-ca grant (--host NAME | --serial N) [--uses 1]   how often\n${fence}\n`;
  const [block, usage] = extractBlocks('x', page);
  expect(commandsInText('x', page).map(({ words }) => words)).toEqual([['countersign', 'host', 'status']]);
  expect(commandsOfBlock(block!).map(({ words }) => words)).toEqual([['countersign', 'doctor']]);
  expect(commandsOfUsage(usage!).map(({ words }) => words.join(' '))).toEqual([
    'countersign-ca grant --host NAME --serial N --uses 1',
  ]);
});

describe('findUsageFault', () => {
  const options = new Map([['--json', false]]);
  const none = { least: 0, most: 0 };
  const show: CommandGrammar = {
    path: ['x', 'show'],
    options: new Map([['--limit', true]]),
    positionals: { least: 1, most: 1 },
    commands: new Map(),
  };
  const grammar: CommandGrammar = { path: ['x'], options, positionals: none, commands: new Map([['show', show]]) };
  const fault = (text: string, whole = true) => findUsageFault(grammar, text.split(' '), { whole });

  test('lets pass what the program takes', () => {
    for (const text of ['x show 1', 'x show --limit 5 1', 'x --json show 1', 'x show 1 --json', 'x show --limit=5 1'])
      expect(fault(text)).toBeUndefined();
    expect(fault('x show', false)).toBeUndefined();
    expect(fault('x show …')).toBeUndefined();
  });

  test.each(['x gone', 'x show', 'x show 1 2', 'x show --verbose 1', 'x --limit 5 show 1'])(
    'finds what is wrong in %s',
    (text) => {
      expect(fault(text)).toMatch(/^x/);
    },
  );
});
