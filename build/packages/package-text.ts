/** The texts that a Debian package needs beside its files: control, changelog, md5sums (deb-control(5), deb-changelog(5)). Pure. */
import { type PackagePlan, libraries } from './package-plan.ts';

const MAX_LINE_LENGTH = 78;
export const maintainer = 'Countersign maintainers <countersign@packages.debian.org>';

export interface ControlFacts {
  readonly version: string;
  /** Of Debian: `amd64`. */
  readonly architecture: string;
  readonly installedKibibytes: number;
}

export function formatControl(plan: PackagePlan, { version, architecture, installedKibibytes }: ControlFacts): string {
  const needs = Object.entries(libraries).map(([name, least]) => `${name} (>= ${least})`);
  const fields = {
    Package: plan.name,
    Version: version,
    Architecture: architecture,
    Maintainer: maintainer,
    'Installed-Size': String(installedKibibytes),
    Depends: [...needs, ...plan.depends].join(', '),
    ...(plan.recommends.length === 0 ? {} : { Recommends: plan.recommends.join(', ') }),
    ...(plan.suggests.length === 0 ? {} : { Suggests: plan.suggests.join(', ') }),
    Section: 'net',
    Priority: 'optional',
    Description: [plan.summary, plan.description.map(paragraph).join('\n .\n')].join('\n'),
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

/** One entry: what was before is in CHANGELOG.md. */
export function formatChangelog({ name }: PackagePlan, version: string, date: Date): string {
  const day = date.toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium\n\n  * Version ${version}; CHANGELOG.md of the project says what changed.\n\n -- ${maintainer}  ${day}\n`;
}

function paragraph(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length < MAX_LINE_LENGTH) lines.splice(-1, 1, `${last} ${word}`);
    else lines.push(` ${word}`);
  }
  return lines.join('\n');
}
