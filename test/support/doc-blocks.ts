/**
 * The commands that the documentation shows, out of its Markdown. Pure.
 *
 * A block tagged `sh` is a promise: it works as it stands. Its id is stable as long as its heading is: `docs/ca.md#backup-and-restore/2` is the
 * second `sh` block below that heading. `usage` is for what a command takes, with brackets and bars. What programs print, and files, have
 * other tags.
 */

export interface DocBlock {
  readonly id: string;
  readonly page: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** First word of the info string; '' for none. */
  readonly language: string;
  readonly text: string;
}

export interface DocCommand {
  readonly page: string;
  readonly line: number;
  /** Program first; quotes are gone. */
  readonly words: readonly string[];
}

const programs: ReadonlySet<string> = new Set(['countersign', 'countersign-ca']);
/** Words after which the name of a program is one: `sudo countersign …`. */
const prefixes: ReadonlySet<string> = new Set(['sudo', 'exec', 'time', '--']);

/** Fenced blocks, in the order of the page. @throws Error for a fence that is never closed */
export function extractBlocks(page: string, markdown: string): DocBlock[] {
  const blocks: DocBlock[] = [];
  const counts = new Map<string, number>();
  let heading = 'top';
  let open: { fence: string; indent: number; line: number; language: string; lines: string[] } | undefined;
  for (const [at, line] of markdown.split('\n').entries()) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*(\S*)/.exec(line);
    if (open !== undefined) {
      if (fence?.[2]?.startsWith(open.fence) === true && fence[3] === '') {
        const key = `${heading} ${open.language}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
        const { language, line: first, lines } = open;
        const id = `${page}#${heading}/${counts.get(key)}`;
        blocks.push({ id, page, line: first, language, text: lines.map((text) => `${text}\n`).join('') });
        open = undefined;
      } else open.lines.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    } else if (fence !== null) {
      const [, indent = '', mark = '', language = ''] = fence;
      open = { fence: mark, indent: indent.length, line: at + 1, language, lines: [] };
    } else heading = slugOf(line) ?? heading;
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: this fence is never closed`);
  return blocks;
}

/** As GitHub makes anchors. */
export function slugOf(line: string): string | undefined {
  const title = /^#{1,6}\s+(.*)$/.exec(line)?.[1];
  return title
    ?.toLowerCase()
    .replace(/[^\p{L}\p{N}\s-]/gu, '')
    .trim()
    .replace(/\s+/g, '-');
}

/** What a shell gets as single lines: without comments, with continued lines joined, without the bodies of here-documents. */
export function logicalLines(script: string): string[] {
  const lines: string[] = [];
  let end: string | undefined;
  let continued = '';
  for (const line of script.split('\n')) {
    if (end !== undefined) {
      if (line.trim() === end) end = undefined;
      continue;
    }
    if (/(^|[^\\])\\$/.test(line)) {
      continued += `${line.slice(0, -1)} `;
      continue;
    }
    const whole = continued + line;
    continued = '';
    end = /<<-?\s*['"]?(\w+)['"]?/.exec(whole)?.[1];
    if (whole.trim() !== '' && !whole.trimStart().startsWith('#')) lines.push(whole.trim());
  }
  return lines;
}

/** Our own commands in a block that is tagged `sh`. */
export function commandsOfBlock({ page, line, text }: DocBlock): DocCommand[] {
  return logicalLines(text).flatMap((each) => commandsIn(each).map((words) => ({ page, line, words })));
}

/** The commands of a block that is tagged `usage`: brackets, alternatives, and what is said behind two spaces or `#` are no part of them. */
export function commandsOfUsage({ page, line, text }: DocBlock): DocCommand[] {
  return text.split('\n').flatMap((each, at) =>
    each
      .replace(/( {2,}|\s#).*$/, '')
      .split(' ; ')
      .flatMap((usage) => commandsIn(usage.replace(/[()[\]]| \| /g, ' ')))
      .map((words) => ({ page, line: line + at + 1, words })),
  );
}

/** Our own commands in the running text: code spans that start with the name of a program and go on. */
export function commandsInText(page: string, markdown: string): DocCommand[] {
  let fenced = false;
  return markdown.split('\n').flatMap((text, at) => {
    if (/^\s*(```|~~~)/.test(text)) fenced = !fenced;
    if (fenced) return [];
    const spans = [...text.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
    const commands = spans.filter((span) => /^countersign(-ca)? \S/.test(span)).flatMap(commandsIn);
    return commands.map((words) => ({ page, line: at + 1, words }));
  });
}

/** Simple commands of ours in one line of shell, in substitutions too. */
export function commandsIn(line: string): string[][] {
  return line
    .split(/\$\(|[`();|&\n]/)
    .map(splitWords)
    .flatMap((words) => {
      const at = words.findIndex(
        (word, i) => programs.has(word) && words.slice(0, i).every((_, j) => isBefore(words, j, i)),
      );
      return at === -1 ? [] : [words.slice(at, redirection(words, at))];
    });
}

/** What may stand before a program: assignments, and prefixes with their options. */
function isBefore(words: readonly string[], at: number, program: number): boolean {
  const last = words[program - 1] ?? '';
  return /^\w+=/.test(words[at] ?? '') || prefixes.has(last) || /^\w+=/.test(last);
}

function redirection(words: readonly string[], from: number): number {
  const at = words.findIndex((word, i) => i > from && /^\d*[<>]/.test(word));
  return at === -1 ? words.length : at;
}

/** Words of a command as a shell splits them; variables stay as they are. */
export function splitWords(text: string): string[] {
  const words = text.match(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"|\\(.)/g, (_, a, b, c) => `${a ?? b ?? c}`));
}
