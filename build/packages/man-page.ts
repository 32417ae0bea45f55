/**
 * Man pages in mdoc(7), out of what a program says of itself and of hand-written sections (docs/man/). Names, options, values, defaults
 * and exit status come from the program alone. Pure.
 *
 * Refused on purpose: a hand-written section of a kind that is made here, which could disagree with the program.
 */
import type { CommandFacts, OptionFacts } from './command-facts.ts';
import type { ManPagePlan, ManualPlan } from './man-page-plan.ts';
import { formatParagraphs, formatText, formatWord } from './mdoc-text.ts';

export interface ManPage {
  /** `countersign-host`. */
  readonly name: string;
  readonly section: number;
  /** Other names under which the page is found. */
  readonly aliases: readonly string[];
  readonly text: string;
}

export interface ManualInput {
  readonly manual: ManualPlan;
  readonly facts: CommandFacts;
  /** Hand-written sections by name of the page: mdoc text with `.Sh` lines. */
  readonly prose: ReadonlyMap<string, string>;
  readonly date: Date;
}

interface Page extends ManPagePlan {
  readonly name: string;
  readonly names: readonly string[];
  readonly about: string;
  readonly facts: readonly CommandFacts[];
}

/** A hand-written section that may not be there, or is none. */
export class ProseError extends Error {
  readonly code = 'man-prose';
}

/** In the order of mdoc(7). */
const proseSections = ['DESCRIPTION', 'ENVIRONMENT', 'FILES', 'EXAMPLES', 'STANDARDS', 'SECURITY CONSIDERATIONS'];

/** @throws ProseError */
export function formatManual(input: ManualInput): ManPage[] {
  const pages = pagesOf(input);
  const unknown = [...input.prose.keys()].filter((name) => !pages.some((page) => page.name === name));
  if (unknown.length > 0) throw new ProseError(`docs/man has ${unknown.join(', ')}, of which there is no page`);
  return pages.map((page) => ({
    name: page.name,
    section: page.section,
    aliases: page.names.slice(1),
    text: formatPage(page, pages, input),
  }));
}

function pagesOf({ manual, facts }: ManualInput): Page[] {
  const { program, section } = manual;
  const planned = new Set(manual.pages.flatMap(({ commands }) => commands));
  const others = facts.commands
    .filter(({ name }) => !planned.has(name))
    .map(({ name }): ManPagePlan => ({ commands: [name], section, seeAlso: [] }));
  return [...manual.pages, ...others].map((plan) => {
    const own = plan.commands.map((name) => facts.commands.find((one) => one.name === name) ?? noCommand(name));
    const names = own.length === 0 ? [program] : own.map(({ name }) => `${program}-${name}`);
    const about = plan.about ?? own[0]?.summary ?? program;
    return { ...plan, name: names[0] ?? program, names, about, facts: own };
  });
}

function noCommand(name: string): never {
  throw new ProseError(`man-page-plan.ts has ${name}, which is no command`);
}

function formatPage(page: Page, pages: readonly Page[], input: ManualInput): string {
  const { date, facts } = input;
  const prose = readSections(page.name, input.prose.get(page.name) ?? '');
  const commands = page.facts.flatMap((one) => runnable(one, [facts.name]));
  const isProgram = page.facts.length === 0;
  const sections: [string, string | undefined][] = [
    ['NAME', nameLines(page)],
    ['SYNOPSIS', isProgram ? programSynopsis(facts) : commands.map(synopsisOf).join('\n')],
    ['DESCRIPTION', prose.get('DESCRIPTION') ?? formatText(page.facts[0]?.description ?? facts.description)],
    ['COMMANDS', isProgram ? commandList(facts, pages) : commands.map(commandSection).join('\n')],
    ['ENVIRONMENT', environment(commands, prose.get('ENVIRONMENT'))],
    ['FILES', prose.get('FILES')],
    ['EXIT STATUS', exitStatus],
    ['EXAMPLES', prose.get('EXAMPLES')],
    ['SEE ALSO', seeAlso(page, pages)],
    ['STANDARDS', prose.get('STANDARDS')],
    ['SECURITY CONSIDERATIONS', prose.get('SECURITY CONSIDERATIONS')],
  ];
  const body = sections.flatMap(([title, text]) =>
    text === undefined || text === '' ? [] : [`.Sh ${title}\n${text}`],
  );
  return `${head(page, date)}\n${body.join('\n')}\n`;
}

function head({ name, section }: Page, date: Date): string {
  const day = date.toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });
  return `.\\" Made by the build, out of the program and docs/man/.\n.Dd ${day}\n.Dt ${name.toUpperCase()} ${section}\n.Os`;
}

function nameLines({ names, about }: Page): string {
  const lines = names.map((name, at) => `.Nm ${name}${at < names.length - 1 ? ' ,' : ''}`);
  return `${lines.join('\n')}\n.Nd ${about}`;
}

interface Runnable {
  readonly path: readonly string[];
  readonly facts: CommandFacts;
}

function runnable(facts: CommandFacts, before: readonly string[]): Runnable[] {
  const path = [...before, facts.name];
  return [...(facts.runs ? [{ path, facts }] : []), ...facts.commands.flatMap((one) => runnable(one, path))];
}

function programSynopsis({ name }: CommandFacts): string {
  return `.Nm ${name}\n.Ar command\n.Op Ar argument ...\n.Nm ${name}\n.Cm --version | Cm --help`.replaceAll(
    'Cm --',
    'Fl -',
  );
}

function synopsisOf({ path, facts }: Runnable): string {
  const options = visible(facts).map((option) => `${option.mandatory ? '.' : '.Op '}${flagAndValue(option)}`);
  const values = facts.arguments.map(({ name, required, variadic }) => {
    const word = `Ar ${formatWord(name)}${variadic ? ' ...' : ''}`;
    return required ? `.${word}` : `.Op ${word}`;
  });
  return [`.Nm ${path.join(' ')}`, ...options, ...values].join('\n');
}

function visible({ options }: CommandFacts): OptionFacts[] {
  return options.filter(({ long }) => long !== '--help');
}

/** `Fl -name Ar name`, or with its short form `Fl o | -output Ar file`. */
function flagAndValue({ short, long, value }: OptionFacts): string {
  const flags = [short, long].filter((flag) => flag !== null).map((flag) => flag.slice(1));
  return `Fl ${flags.join(' | ')}${value === null ? '' : ` Ar ${formatWord(value)}`}`;
}

function commandSection({ path, facts }: Runnable): string {
  const aliases = facts.aliases.length === 0 ? [] : ['.Pp', formatText(`Also: ${facts.aliases.join(', ')}.`)];
  const details = facts.details === '' ? [] : ['.Pp', formatParagraphs(facts.details)];
  const listed = [...facts.arguments.map(argumentItem), ...visible(facts).map(optionItem)];
  const list = listed.length === 0 ? [] : ['.Bl -tag -width Ds', ...listed, '.El'];
  return [`.Ss ${path.join(' ')}`, formatText(sentence(facts.description)), ...aliases, ...details, ...list].join('\n');
}

function optionItem(option: OptionFacts): string {
  const { short, long, value } = option;
  const flags = [short, long].filter((flag) => flag !== null).map((flag) => `Fl ${flag.slice(1)}`);
  const tag = `.It ${flags.join(' , ')}${value === null ? '' : ` Ar ${formatWord(value)}`}`;
  const facts = [
    ...(option.choices.length > 0 ? [`One of ${option.choices.join(', ')}.`] : []),
    ...(option.defaultText !== null ? [`Default: ${option.defaultText}.`] : []),
    ...(option.variable !== null ? [`${option.variable} in the environment stands for it.`] : []),
  ];
  return [tag, formatText([sentence(option.description), ...facts].join(' '))].join('\n');
}

function argumentItem({ name, description, choices }: CommandFacts['arguments'][number]): string {
  const facts = choices.length > 0 ? [`One of ${choices.join(', ')}.`] : [];
  return `.It Ar ${formatWord(name)}\n${formatText([sentence(description), ...facts].join(' '))}`;
}

/** Summaries have no capital and no period; here they get both. */
function sentence(text: string): string {
  if (text === '') return '';
  const capital = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** Each command with its page. */
function commandList(facts: CommandFacts, pages: readonly Page[]): string {
  const items = facts.commands.map(({ name, summary }) => {
    const page = pages.find(({ commands }) => commands.includes(name));
    return `.It Cm ${name}\n${formatText(sentence(summary))}\nSee\n.Xr ${page?.name} ${page?.section} .`;
  });
  return ['.Bl -tag -width Ds', ...items, '.El'].join('\n');
}

function environment(commands: readonly Runnable[], prose: string | undefined): string | undefined {
  const stands = new Map(
    commands
      .flatMap(({ facts }) => facts.options)
      .flatMap(({ variable, long }): [string, string][] => (variable === null ? [] : [[variable, long ?? '']])),
  );
  const items = [...stands].map(([variable, long]) => `.It Ev ${variable}\nStands for\n.Fl ${long.slice(1)} .`);
  const list = items.length === 0 ? [] : [['.Bl -tag -width Ds', ...items, '.El'].join('\n')];
  return [...list, ...(prose === undefined ? [] : [prose])].join('\n') || undefined;
}

const exitStatus = `.Bl -tag -width Ds
.It 0
Done.
.It 1
Refused or failed; standard error says why, and what to do next.
.It 2
Wrong usage.
.El`;

function seeAlso(page: Page, pages: readonly Page[]): string | undefined {
  const own = pages.filter((one) => one !== page).map(({ name, section }) => ({ name, section }));
  const others = page.seeAlso.map((reference) => {
    const [, name = '', section = ''] = /^(\S+)\((\d)\)$/.exec(reference) ?? [];
    return { name, section: Number(section) };
  });
  const all = [...own, ...others].toSorted((a, b) => a.section - b.section || (a.name < b.name ? -1 : 1));
  return all.map(({ name, section }, at) => `.Xr ${name} ${section}${at < all.length - 1 ? ' ,' : ''}`).join('\n');
}

/** The sections of a hand-written file, by title. */
function readSections(name: string, text: string): Map<string, string> {
  const [before = '', ...parts] = text.split(/^\.Sh /m);
  const sections = new Map(
    parts.map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end).trim(), part.slice(end + 1).trim()] as const;
    }),
  );
  const wrong = [...sections.keys()].filter((title) => !proseSections.includes(title));
  if (before.replaceAll(/^\.\\".*$/gm, '').trim() !== '') wrong.push('text before the first section');
  if (wrong.length > 0) throw new ProseError(`docs/man/${name}.mdoc may not have: ${wrong.join(', ')}`);
  return sections;
}
