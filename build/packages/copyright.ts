/** The copyright file of a package (copyright-format is for sources; this is for what the executable holds): ours, Node's, and that of each npm package. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: true;
  readonly devOptional?: true;
  readonly optional?: true;
}

const head = `Countersign
===========

Licensed under the Apache License, Version 2.0, which is on Debian systems in
/usr/share/common-licenses/Apache-2.0.

Node.js
=======

The program runs on the Node.js ${process.version} that it holds, with the libraries that
this holds in turn (V8, OpenSSL, libuv, ICU, nghttp2, SQLite and others).
Copyright Node.js contributors, and the authors of these libraries. Licensed
under the MIT licence; theirs and all notices:
https://github.com/nodejs/node/blob/${process.version}/LICENSE
`;

/** Of every package that can be in an executable, whether each uses it or not. */
export async function readCopyright(): Promise<string> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  const shipped = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional, optional }]) => path !== '' && [dev, devOptional, optional].every((is) => is !== true),
  );
  const parts = await Promise.all(shipped.map(async ([path, entry]) => readNotice(path, entry)));
  return [head, ...parts].join('\n');
}

async function readNotice(path: string, { version = '', license = 'unknown' }: LockEntry): Promise<string> {
  const title = `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)} ${version}`;
  if (license === 'Apache-2.0') return `${titled(title)}Licensed under the Apache License, Version 2.0, as above.\n`;
  const directory = join(root, path);
  const file = (await readdir(directory)).toSorted().find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text =
    file === undefined
      ? `Licence, as its package.json says: ${license}`
      : await readFile(join(directory, file), 'utf8');
  return `${titled(title)}${text.trim()}\n`;
}

function titled(title: string): string {
  return `${title}\n${'='.repeat(title.length)}\n\n`;
}
