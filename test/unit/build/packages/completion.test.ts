/** Completions and man pages keep what a description has from being read as the shell's, or as macros. */
import { expect, test } from 'vitest';
import { formatBashCompletion } from '#build/packages/bash-completion.ts';
import type { CommandFacts, OptionFacts } from '#build/packages/command-facts.ts';
import { completionsOf } from '#build/packages/completion-facts.ts';
import { formatFishCompletion } from '#build/packages/fish-completion.ts';
import { ProseError, formatManual } from '#build/packages/man-page.ts';
import { formatZshCompletion } from '#build/packages/zsh-completion.ts';

const option = (long: string, more: Partial<OptionFacts> = {}): OptionFacts => ({
  short: null,
  long,
  value: null,
  description: 'it\'s [not] a: "trap" $(touch /tmp/x) `y` \\',
  choices: [],
  variable: null,
  defaultText: null,
  mandatory: false,
  ...more,
});

const command = (name: string, more: Partial<CommandFacts> = {}): CommandFacts => ({
  name,
  aliases: [],
  summary: "a summary: it's $HOME",
  description: 'A description.',
  runs: true,
  details: '',
  arguments: [],
  options: [option('--plain')],
  commands: [],
  ...more,
});

const facts = command('tool', {
  runs: false,
  commands: [
    command('one', { aliases: ['uno'], options: [option('--kind', { value: 'kind', choices: ['a', 'b'] })] }),
    command('two', { options: [option('--in', { value: 'file' }), option('--into', { value: 'dir' })] }),
  ],
});

test('what follows an option is told by the name of its value', () => {
  const values = completionsOf(facts).flatMap(({ options }) => options.flatMap(({ value }) => value?.kind ?? []));
  expect(values).toEqual(['choice', 'file', 'directory']);
});

test('nothing of a description is in what bash runs', () => {
  expect(formatBashCompletion(facts)).not.toContain('touch');
});

test('quotes of a description end no string of zsh and fish', () => {
  expect(formatZshCompletion(facts)).toContain(String.raw`it'\''s \[not\]`);
  expect(formatFishCompletion(facts)).toContain(String.raw`it\'s [not]`);
  expect(formatFishCompletion(facts)).toContain(String.raw`y \\'`);
});

const manual = { program: 'tool', entry: '', section: 1, pages: [{ commands: [], section: 8, seeAlso: ['sh(1)'] }] };
const input = { manual, facts, date: new Date(0) };

test('a command that stands in no row has a page of its own', () => {
  const pages = formatManual({ ...input, prose: new Map() });
  expect(pages.map(({ name, section }) => `${name}.${section}`)).toEqual(['tool.8', 'tool-one.1', 'tool-two.1']);
});

test.each(['.Sh OPTIONS\ntext', '.Sh EXIT STATUS\ntext', 'text\n.Sh FILES\ntext'])('prose may not say %j', (text) => {
  expect(() => formatManual({ ...input, prose: new Map([['tool-one', text]]) })).toThrow(ProseError);
});

test('prose about no page is refused', () => {
  expect(() => formatManual({ ...input, prose: new Map([['tool-three', '']]) })).toThrow(ProseError);
});
