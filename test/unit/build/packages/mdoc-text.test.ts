/** Plain text as mdoc(7) input. */
import { expect, test } from 'vitest';
import { formatParagraphs, formatText, formatWord } from '#build/packages/mdoc-text.ts';

test('each sentence begins a line; an abbreviation ends none', () => {
  expect(formatText('One thing. Another, e.g. 12h! "Third?" (Fourth.) end')).toBe(
    'One thing.\nAnother, e.g. 12h!\n"Third?"\n(Fourth.) end',
  );
});

test('no line is longer than 78 bytes, and none begins as a macro does', () => {
  const lines = formatText(`${'word '.repeat(40)}${'x'.repeat(70)} .conf 'quoted' end`).split('\n');
  expect(lines.every((line) => line.length <= 80 && !/^[.']/.test(line))).toBe(true);
  expect(formatText('.conf')).toBe(String.raw`\&.conf`);
  expect(formatText("'tis")).toBe(String.raw`\&'tis`);
});

test('what roff would read as its own is escaped', () => {
  expect(formatText('a\\b ~/x --name -x a-b … `code`')).toBe(String.raw`a\eb \(ti/x \-\-name \-x a-b \[u2026] code`);
  expect(formatWord('[host]:port')).toBe(String.raw`\&[host]:port`);
  expect(formatWord('two words')).toBe(String.raw`\&two\ words`);
});

test('blank lines part paragraphs, and numbers make a list', () => {
  expect(formatParagraphs('First\nlines.\n\nIn order:\n  1. One\n     goes on.\n  2. Two.')).toBe(
    'First lines.\n.Pp\nIn order:\n.Bl -enum\n.It\nOne goes on.\n.It\nTwo.\n.El',
  );
});
