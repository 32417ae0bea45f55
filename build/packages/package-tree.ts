/** All files of a package, as texts and paths of what is copied: units, man pages, completions, documents, control files. Reads, and writes nothing. */
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { formatBashCompletion } from './bash-completion.ts';
import { type CommandFacts, readCommands } from './command-facts.ts';
import { readCopyright } from './copyright.ts';
import { formatFishCompletion } from './fish-completion.ts';
import { formatManual } from './man-page.ts';
import { type ManualPlan, manuals } from './man-page-plan.ts';
import { type PackagePlan } from './package-plan.ts';
import { formatChangelog } from './package-text.ts';
import { formatZshCompletion } from './zsh-completion.ts';

const root = join(import.meta.dirname, '../..');

export interface PackageTree {
  /** Content by path, without the leading slash. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Targets by path. */
  readonly links: ReadonlyMap<string, string>;
  /** Scripts of DEBIAN/. */
  readonly scripts: ReadonlyMap<string, Uint8Array>;
}

/** @param date of the changelog and the man pages */
export async function readPackageTree(plan: PackagePlan, version: string, date: Date): Promise<PackageTree> {
  const manual = manualOf(plan);
  const facts = await readCommands(manual.entry);
  const files = new Map<string, Uint8Array>();
  const links = new Map<string, string>();
  for (const { source, target } of plan.files) files.set(target, await readFile(resolve(root, source)));
  if (plan.userUnit) files.set('usr/lib/systemd/user/countersign-agent.service', await userUnit(manual));
  addCompletions(files, facts);
  for (const { name, section, aliases, text } of formatManual({
    manual,
    facts,
    prose: await readProse(manual),
    date,
  })) {
    const directory = `usr/share/man/man${section}`;
    files.set(`${directory}/${name}.${section}.gz`, compressed(text));
    for (const alias of aliases) links.set(`${directory}/${alias}.${section}.gz`, `${name}.${section}.gz`);
  }
  const documents = `usr/share/doc/${plan.name}`;
  files.set(`${documents}/copyright`, Buffer.from(await readCopyright()));
  files.set(`${documents}/changelog.gz`, compressed(formatChangelog(plan, version, date)));
  files.set(`usr/share/lintian/overrides/${plan.name}`, await debianFile(`${plan.name}.lintian-overrides`));
  return { files, links, scripts: await readScripts(plan) };
}

function manualOf({ executable }: PackagePlan): ManualPlan {
  const manual = manuals.find(({ program }) => program === executable);
  if (manual === undefined) throw new Error(`man-page-plan.ts has nothing about ${executable}`);
  return manual;
}

/** Hand-written sections of the pages of one program. */
async function readProse({ program }: ManualPlan): Promise<Map<string, string>> {
  const directory = join(root, 'docs/man');
  const others = manuals.map((manual) => manual.program).filter((name) => name.startsWith(`${program}-`));
  const names = (await readdir(directory))
    .map((file) => file.replace(/\.mdoc$/, ''))
    .filter((name) => name === program || name.startsWith(`${program}-`))
    .filter((name) => !others.some((other) => name === other || name.startsWith(`${other}-`)));
  const texts = names.map(async (name) => [name, await readFile(join(directory, `${name}.mdoc`), 'utf8')] as const);
  return new Map(await Promise.all(texts));
}

/** What `agent-service print` says, with the installed program. */
async function userUnit({ entry }: ManualPlan): Promise<Uint8Array> {
  const { stdout } = await execa(process.execPath, [join(root, entry), 'agent-service', 'print'], { stdin: 'ignore' });
  return Buffer.from(`${stdout}\n`.replace(/^ExecStart=.*$/m, 'ExecStart=countersign agent -D'));
}

function addCompletions(files: Map<string, Uint8Array>, facts: CommandFacts): void {
  const { name } = facts;
  files.set(`usr/share/bash-completion/completions/${name}`, Buffer.from(formatBashCompletion(facts)));
  files.set(`usr/share/zsh/vendor-completions/_${name}`, Buffer.from(formatZshCompletion(facts)));
  files.set(`usr/share/fish/vendor_completions.d/${name}.fish`, Buffer.from(formatFishCompletion(facts)));
}

async function readScripts({ name }: PackagePlan): Promise<Map<string, Uint8Array>> {
  const scripts = ['postinst', 'prerm', 'postrm'].map(async (script) => {
    return [script, await debianFile(`${name}.${script}`)] as const;
  });
  return new Map(await Promise.all(scripts));
}

function debianFile(name: string): Promise<Uint8Array> {
  return readFile(join(import.meta.dirname, 'debian', name));
}

/** As `gzip -9n`: without name and time. */
function compressed(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}
