/**
 * The rooms of the source tree and what may pass between them: the arrows, the purity of `openssh` and `protocol`, and
 * the habits that keep the tree readable. Decides: facts in, violations out. `check-rooms.ts` reads the files.
 */
import { posix } from 'node:path';
import { findCycles } from './import-cycles.ts';
import type { Import, SourceFacts } from './source-facts.ts';

export type Rule =
  | 'arrow'
  | 'room-path'
  | 'package-undeclared'
  | 'package-home'
  | 'pure-import'
  | 'pure-global'
  | 'computed-import'
  | 'require'
  | 'cycle'
  | 'barrel'
  | 'file-name';

export interface Violation {
  rule: Rule;
  path: string;
  /** Counted from 1; 1 where the whole file is meant. */
  line: number;
  message: string;
}

/** The part of package.json that says which packages may be imported. */
export interface Manifest {
  dependencies: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** Each room and the rooms it may import from. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  openssh: [],
  protocol: ['openssh'],
  'ca-lite': ['protocol', 'openssh'],
  agent: ['protocol', 'openssh'],
  tray: ['protocol'],
  build: [],
  test: ['openssh', 'protocol', 'ca-lite', 'agent', 'tray', 'build'],
};

/** Rooms whose packages ship to users, so that development dependencies have no place in them. */
const shippedRooms = new Set(['openssh', 'protocol', 'ca-lite', 'agent', 'tray']);

/** Packages and built-in modules that only some rooms may import. */
const homes: Readonly<Record<string, readonly string[]>> = {
  electron: ['tray', 'test'],
  keytar: ['agent', 'test'],
  pg: ['ca-lite', 'test'],
  ssh2: ['ca-lite', 'test'],
  'node:sqlite': ['ca-lite', 'test'],
};

/** Packages that ship although they are development dependencies: electron-builder demands it of Electron. */
const shippedDevDependencies = new Set(['electron']);

const pureRooms = new Set(['openssh', 'protocol']);

/** What a pure room may import besides rooms, and the only files that may, as a prefix of their path. */
const purePackages: Readonly<Record<string, readonly string[]>> = {
  'node:crypto': ['openssh/', 'protocol/'],
  'node:buffer': ['openssh/', 'protocol/'],
  'ipaddr.js': ['openssh/', 'protocol/'],
  typebox: ['protocol/'],
  sshpk: ['openssh/foreign-key.ts'],
  'bcrypt-pbkdf': ['openssh/private-key-cipher.ts'],
};

/** Exports of node:crypto that draw random bytes; bytes are arguments in a pure room. */
const randomCrypto =
  /^(random|generate(Key|Prime)|getRandom|createDiffieHellman|getDiffieHellman|webcrypto|subtle|\*$|default$)/;

/** The one file outside the rooms that code imports: protocol/version.ts takes the version from it. */
const manifestReaders = ['protocol/version.ts', 'build/', 'test/'];

const vagueName = /(^|\/)(utils?|helpers?|common|misc)[./]|-(utils|helpers)[./]/;
const kebabCase = /^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config|d))?\.[cm]?[jt]sx?$/;

/** Judges the whole tree; the order of the result is the order of the files. */
export function checkRooms(files: readonly SourceFacts[], manifest: Manifest): Violation[] {
  return [...files.flatMap((file) => checkFile(file, manifest)), ...checkCycles(files)];
}

export function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
}

function checkFile(file: SourceFacts, manifest: Manifest): Violation[] {
  return [
    ...checkShape(file),
    ...file.imports.flatMap((entry) => checkImport(file.path, entry, manifest)),
    ...checkRequires(file),
    ...checkEffects(file),
  ];
}

function checkShape({ path, onlyReexports }: SourceFacts): Violation[] {
  const found: Violation[] = [];
  const add = (rule: Rule, message: string) => found.push({ rule, path, line: 1, message });
  if (onlyReexports) add('barrel', 'only passes on what other files export: import from those files instead');
  if (vagueName.test(path)) add('file-name', 'says nothing with this name: name the one thing that is in it');
  else if (!kebabCase.test(path)) add('file-name', 'is not named in kebab-case');
  return found;
}

/** Files that load a native add-on, an optional package, which no bundle can hold: nothing else is hidden from the reader there. */
const addOnLoaders: ReadonlySet<string> = new Set(['ca-lite/pkcs11/addon.ts', 'agent/user/keychain/add-on.ts']);

function checkRequires({ path, requires }: SourceFacts): Violation[] {
  if (addOnLoaders.has(path)) return [];
  return requires.map(({ name, line }) => ({ rule: 'require', path, line, message: `uses ${name}: use import` }));
}

function checkEffects({ path, effects }: SourceFacts): Violation[] {
  const room = roomOf(path);
  if (!pureRooms.has(room)) return [];
  return effects.map(({ name, line }) => ({
    rule: 'pure-global',
    path,
    line,
    message: `uses ${name}, but ${room}/ is pure: take the value as an argument (or rename a local of that name)`,
  }));
}

function checkImport(path: string, { specifier, names, line }: Import, manifest: Manifest): Violation[] {
  const violation = (rule: Rule, message: string): Violation[] => [{ rule, path, line, message }];
  if (specifier === null) {
    return roomOf(path) === 'test' ? [] : violation('computed-import', 'imports something computed: spell it out');
  }
  const target = targetPath(path, specifier);
  return target === null
    ? checkPackage(path, specifier, names, manifest, violation)
    : checkArrow(path, specifier, target, violation);
}

/** The imported file's path from the root, or null for a package or a built-in module. */
function targetPath(path: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return posix.normalize(specifier.slice(1));
  return specifier.startsWith('.') || specifier.startsWith('/') ? posix.join(posix.dirname(path), specifier) : null;
}

type Report = (rule: Rule, message: string) => Violation[];

function checkArrow(path: string, specifier: string, target: string, violation: Report): Violation[] {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (target === 'package.json') {
    if (manifestReaders.some((prefix) => path.startsWith(prefix))) return [];
    return violation('arrow', 'imports package.json: the version is in #protocol/version.ts');
  }
  if (from === to) {
    const near = specifier.startsWith('.') || (from === 'test' && specifier.startsWith('#'));
    return near ? [] : violation('room-path', `imports ${specifier}: inside a room use ./`);
  }
  if (!arrows[from]?.includes(to)) {
    const allowed = arrows[from]?.map((room) => `${room}/`).join(', ') || 'no other room';
    return violation('arrow', `imports ${specifier}, but ${from || 'a file of the root'} may import ${allowed}`);
  }
  return specifier.startsWith('#') ? [] : violation('room-path', `imports ${specifier}: write #${target}`);
}

function checkPackage(path: string, specifier: string, names: string[], manifest: Manifest, violation: Report) {
  const [room, name] = [roomOf(path), packageName(specifier)];
  if (pureRooms.has(room)) return checkPureImport(path, name, names, violation);
  const home = homes[name];
  if (home && !home.includes(room)) return violation('package-home', `imports ${name}, which belongs to ${home[0]}/`);
  if (name.startsWith('node:')) return [];
  if (name in manifest.dependencies || name in (manifest.optionalDependencies ?? {})) return [];
  if (!(name in manifest.devDependencies))
    return violation('package-undeclared', `imports ${name}, not in package.json`);
  if (!shippedRooms.has(room) || shippedDevDependencies.has(name)) return [];
  return violation('package-undeclared', `imports ${name}, a development dependency, but ${room}/ ships`);
}

function checkPureImport(path: string, name: string, names: string[], violation: Report): Violation[] {
  const room = roomOf(path);
  if (!purePackages[name]?.some((prefix) => path.startsWith(prefix))) {
    return violation('pure-import', `imports ${name}, but ${room}/ is pure: bytes and values in, values out`);
  }
  const random = name === 'node:crypto' ? names.filter((taken) => randomCrypto.test(taken)) : [];
  if (random.length === 0) return [];
  return violation('pure-import', `imports ${random.join(', ')} of node:crypto: take random bytes as an argument`);
}

/** `typebox/value` is of `typebox`, `@peculiar/x509/x` of `@peculiar/x509`; built-in modules keep their whole name. */
function packageName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Of what is loaded at run time: two files may name each other's types. */
function checkCycles(files: readonly SourceFacts[]): Violation[] {
  const edges = new Map(
    files.map(({ path, imports }) => [path, imports.flatMap((entry) => importedPath(path, entry))]),
  );
  return findCycles(edges).map((cycle) => ({
    rule: 'cycle',
    path: cycle[0] ?? '',
    line: 1,
    message: `imports itself: ${cycle.join(' -> ')}`,
  }));
}

function importedPath(path: string, { specifier, typeOnly }: Import): string[] {
  const target = specifier === null || typeOnly ? null : targetPath(path, specifier);
  return target === null ? [] : [target];
}
