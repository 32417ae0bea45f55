/**
 * Every command that the documentation shows. Blocks tagged `sh` in README.md and docs/ are run as they stand, block by block in the order
 * of the page: as root on machines of a laboratory where they are literally true (`docs-plan.ts`). For everybody, each command of ours, also those
 * in the running text, is held to what the programs' own help says they take. No `sh` block goes unrun, and commands hide under no other tag.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CommandGrammar, findUsageFault, readGrammar } from '#test/support/command-grammar.ts';
import {
  type DocBlock,
  commandsIn,
  commandsInText,
  commandsOfBlock,
  commandsOfUsage,
  extractBlocks,
  logicalLines,
} from '#test/support/doc-blocks.ts';
import { DocMachine } from '#test/support/doc-machine.ts';
import { labKinds, openLab } from '#test/support/lab.ts';
import { agentProgram, caProgram } from '#test/support/programs.ts';
import { findStepCli } from '#test/support/step-cli.ts';
import { type MachineName, type PagePlan, type Stage, defaultPlan, placeholders, plans } from './docs-plan.ts';

const PAGE_TIMEOUT_MS = 20 * 60_000;
const root = join(import.meta.dirname, '../..');
const inDocs = await readdir(join(root, 'docs'), { recursive: true });
const pages = ['README.md', ...inDocs.map((name) => `docs/${name}`).toSorted()].filter((page) => page.endsWith('.md'));
const texts = new Map(
  await Promise.all(pages.map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const)),
);
const blocks = pages.flatMap((page) => extractBlocks(page, texts.get(page) ?? ''));
const scripts = blocks.filter(({ language }) => language === 'sh');
const done = new Set<string>();

describe('the commands fit the programs', () => {
  const grammars = new Map<string, CommandGrammar>();

  beforeAll(async () => {
    grammars.set('countersign', await readGrammar('countersign', agentProgram()));
    grammars.set('countersign-ca', await readGrammar('countersign-ca', caProgram()));
  }, PAGE_TIMEOUT_MS);

  test.each(pages)('%s', (page) => {
    const typed = scripts.filter((block) => block.page === page).flatMap(commandsOfBlock);
    const named = commandsInText(page, texts.get(page) ?? '');
    const usage = blocks.filter((block) => block.page === page && block.language === 'usage').flatMap(commandsOfUsage);
    const judge = (commands: typeof typed, whole: boolean): string[] =>
      commands.flatMap(({ line, words }) => {
        const grammar = grammars.get(words[0] ?? '');
        const fault = grammar === undefined ? 'unknown program' : findUsageFault(grammar, words, { whole });
        return fault === undefined ? [] : [`${page}:${line}: ${words.join(' ')}: ${fault}`];
      });
    expect([...judge(typed, true), ...judge([...named, ...usage], false)]).toEqual([]);
  });
});

test('commands stand in blocks tagged sh, their usage in blocks tagged usage', () => {
  const hidden = blocks
    .filter(({ language }) => language !== 'sh' && language !== 'usage')
    .filter(
      ({ language, text }) => /^(bash|shell|zsh|console|shell-session)$/.test(language) || startsWithCommand(text),
    )
    .map(({ page, line, language }) => `${page}:${line}: tagged "${language}"`);
  expect(hidden).toEqual([]);
});

/** Our commands, and those of others that our pages tell people to type. */
function startsWithCommand(text: string): boolean {
  return text
    .split('\n')
    .some((line) => commandsIn(line).some((words) => line.startsWith(words[0] ?? ' ')) || foreignCommand.test(line));
}

const foreignCommand =
  /^(\$ |(sudo|curl|openssl|printf|step|systemctl|apt|apt-get|ssh|ssh-add|ssh-keygen|ssh-keyscan|yubihsm-shell) )/;

test('plans are about blocks that exist', () => {
  const ids = new Set(scripts.map(({ id }) => id));
  const named = Object.values(plans).flatMap(({ on, beforeBlock, elsewhere, step }) => [
    ...Object.keys(on ?? {}),
    ...Object.keys(beforeBlock ?? {}),
    ...Object.keys(elsewhere ?? {}),
    ...(step ?? []),
  ]);
  expect(named.filter((id) => !ids.has(id))).toEqual([]);
});

const elsewhere = scripts.filter(({ id, page }) => plans[page]?.elsewhere?.[id] !== undefined);

test.each(elsewhere.map((block) => [block.id, block] as const))(
  'run by other files: %s',
  async (id, { page, text }) => {
    const files = plans[page]?.elsewhere?.[id] ?? [];
    const contents = await Promise.all(files.map(async (file) => readFile(join(root, file), 'utf8')));
    for (const line of logicalLines(text)) {
      const command = (line.split('&&').at(-1) ?? '').replace(/#.*/, '').trim();
      const isThere = contents.some((content) => content.includes(command) || readsFrom(content, id));
      expect(isThere, `${command} in ${files.join(', ')}`).toBe(true);
    }
    done.add(id);
  },
);

/** The file names the heading, at least its start, and so takes the block from the page itself. */
function readsFrom(content: string, id: string): boolean {
  const heading = id.slice(id.indexOf('#'), id.lastIndexOf('/'));
  return [...content.matchAll(/'(#[\w-]{8,})'/g)].some(([, start = '']) => heading.startsWith(start));
}

const here = scripts.filter((block) => !elsewhere.includes(block));

/** As root page by page, since each block builds on the ones before; else block by block, read and not run. */
const jobs: [string, () => Promise<void>][] = labKinds.includes('namespaces')
  ? [...new Set(here.map(({ page }) => page))].map((page) => [
      `${page} does what it says`,
      async () =>
        runPage(
          here.filter((block) => block.page === page),
          plans[page] ?? defaultPlan,
        ),
    ])
  : here.map((block) => [`${block.id} is read; running it takes root`, async () => readBlock(block)]);

test.each(jobs)('%s', { timeout: PAGE_TIMEOUT_MS }, async (_title, run) => {
  await expect(run()).resolves.toBeUndefined();
});

test('no sh block was left out', () => {
  expect(scripts.map(({ id }) => id).filter((id) => !done.has(id))).toEqual([]);
});

async function readBlock({ id, text }: DocBlock): Promise<void> {
  expect(logicalLines(text)).not.toEqual([]);
  done.add(id);
}

async function runPage(own: readonly DocBlock[], plan: PagePlan): Promise<void> {
  await using lab = await openLab('namespaces');
  const [ca, web1, laptop] = [await lab.addMachine('ca'), await lab.addMachine('web1'), await lab.addMachine('laptop')];
  await lab.setZone({ 'ca.example.internal': ca.addresses, 'web1.example.internal': web1.addresses });
  await using stack = new AsyncDisposableStack();
  const machines: Record<MachineName, DocMachine> = {
    ca: stack.use(await DocMachine.open(ca, 'ca.example.internal')),
    web1: stack.use(await DocMachine.open(web1, 'web1.example.internal')),
    laptop: stack.use(await DocMachine.open(laptop, 'laptop.example.internal')),
  };
  let transcript = '';
  const run = async (machine: MachineName, script: string, what: string): Promise<void> => {
    const { exitCode, output } = await machines[machine].run(substitute(script, transcript));
    transcript += `\n${output}`;
    expect(exitCode, `${what}, on ${machine}:\n${script}\n${output}`).toBe(0);
  };
  const stage: Stage = { machines, must: async (machine, script) => run(machine, script, 'preparation') };
  await plan.before?.(stage);
  for (const { id, page, line, text } of own) {
    if (plan.step?.includes(id) === true && !(await provideStep(id, machines[plan.on?.[id] ?? plan.machine]))) continue;
    await plan.beforeBlock?.[id]?.(stage);
    await run(plan.on?.[id] ?? plan.machine, text, `${page}:${line}`);
    done.add(id);
  }
  await plan.after?.(stage);
}

/** A block that cannot be run here says so; its commands of ours were read all the same. */
async function provideStep(id: string, machine: DocMachine): Promise<boolean> {
  const step = await findStepCli();
  if ('path' in step) {
    await machine.must(`ln -sf '${step.path}' /usr/local/bin/step`);
    return true;
  }
  if (process.env['CI'] !== undefined) throw new Error(`${id}: ${step.missing}`);
  process.stderr.write(`NOT RUN: ${id}: ${step.missing}\n`);
  done.add(id);
  return false;
}

function substitute(script: string, transcript: string): string {
  return Object.entries(placeholders).reduce((text, [name, pattern]) => {
    if (!new RegExp(`\\b${name}\\b`).test(text)) return text;
    const value = [...transcript.matchAll(pattern)].at(-1)?.[1];
    if (value === undefined) throw new Error(`nothing printed so far has a value for ${name}:\n${script}`);
    return text.replace(new RegExp(`\\b${name}\\b`, 'g'), value);
  }, script);
}
