/** Plain text as mdoc(7) input: escaped, a new line for each sentence, none longer than 78 bytes, so that `mandoc -Tlint` is content. */

const MAX_LINE_LENGTH = 78;

/** A paragraph of running text. */
export function formatText(text: string): string {
  const sentences = text
    .replaceAll(/\s+/g, ' ')
    .trim()
    .split(/(?<=[.!?]["')]?)(?<!e\.g\.|i\.e\.) (?=[^a-z])/);
  return sentences.flatMap((sentence) => wrap(sentence)).join('\n');
}

/**
 * Paragraphs between blank lines; a line `  1. text` begins an item of a numbered list, and lines behind it that are indented
 * further belong to it.
 */
export function formatParagraphs(text: string): string {
  return text
    .split(/\n\s*\n/)
    .map(formatBlock)
    .join('\n.Pp\n');
}

/** One word of a macro line, such as the value of an option. */
export function formatWord(word: string): string {
  return `\\&${escape(word).replaceAll(' ', '\\ ')}`;
}

function formatBlock(block: string): string {
  const [lead = '', ...items] = block.split(/^ +\d+\. +/m);
  if (items.length === 0) return formatText(lead);
  const list = items.map((item) => `.It\n${formatText(item)}`).join('\n');
  return `${formatText(lead)}\n.Bl -enum\n${list}\n.El`;
}

function wrap(sentence: string): string[] {
  const lines: string[] = [];
  for (const word of sentence.split(' ').map(escape)) {
    const last = lines.at(-1);
    if (last !== undefined && Buffer.byteLength(`${last} ${word}`) <= MAX_LINE_LENGTH)
      lines.splice(-1, 1, `${last} ${word}`);
    else lines.push(word);
  }
  return lines.map((line) => line.replace(/^(?=[.'])/, '\\&'));
}

function escape(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll(/(?<![\w-])--?(?=[A-Za-z])/g, (dashes) => '\\-'.repeat(dashes.length))
    .replaceAll('`', '')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll(
      /[^\t\x20-\x7e]/gu,
      (character) => `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
