/**
 * What one source file says about itself, read from its syntax tree: what it imports, which globals with an effect it
 * uses, and whether it only passes on what others export. `rooms.ts` judges these facts.
 *
 * Type-only imports count like the others: an arrow is what a reader must follow. `new URL('./x.ts', import.meta.url)`
 * counts too, since worker threads are reached that way. Decides, reads no file.
 */
import { parseSync, visitorKeys } from 'oxc-parser';

export interface SourceFile {
  /** Relative to the root of the package, with forward slashes. */
  path: string;
  source: string;
}

export interface Import {
  /** What stands in the quotes; null where it is computed at run time. */
  specifier: string | null;
  /** Values taken from there, types left out; `*` for the whole module, `default` for its default export. */
  names: string[];
  /** True where nothing is loaded at run time: `import type`, `export type`. `import { type X }` does load the file. */
  typeOnly: boolean;
  /** Counted from 1. */
  line: number;
}

export interface Use {
  /** As it would be written: `process`, `Date.now`, `new Date()`. */
  name: string;
  line: number;
}

export interface SourceFacts {
  path: string;
  imports: Import[];
  /** Uses of CommonJS `require` and `createRequire`, which hide an import from this reader. */
  requires: Use[];
  /** Uses of globals that touch the world outside: clocks, randomness, timers, the process, the network. */
  effects: Use[];
  /** True for a barrel: statements are there, and all of them pass on exports of other files. */
  onlyReexports: boolean;
}

/** A file that does not parse. The message names file and line. */
export class UnreadableSourceError extends Error {
  readonly code = 'unreadable-source';
}

interface Node {
  type: string;
  start: number;
  [key: string]: unknown;
}

/** A node, where it hangs, and whether it is part of a type, which leaves nothing at run time. */
interface Visit {
  node: Node;
  parent: Node | null;
  key: string;
  inType: boolean;
}

const effectGlobals = new Set([
  'process',
  'console',
  'fetch',
  'performance',
  'crypto',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'globalThis',
  'global',
  'eval',
  'Function',
  'Worker',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'XMLHttpRequest',
  'navigator',
  'localStorage',
  'sessionStorage',
]);

/** Globals that are fine but for some members; they may only be used with the member's name spelled out. */
const effectMembers = new Map([
  ['Math', new Set(['random'])],
  ['Date', new Set(['now'])],
  ['AbortSignal', new Set(['timeout'])],
  ['Temporal', new Set(['Now'])],
]);

/** @throws UnreadableSourceError if the source is no TypeScript */
export function readFacts({ path, source }: SourceFile): SourceFacts {
  const { program, errors } = parseSync(path, source);
  const lineOf = lineFinder(source);
  const [fault] = errors;
  if (fault) {
    throw new UnreadableSourceError(`${path}:${lineOf(fault.labels[0]?.start ?? 0)}: ${fault.message}`);
  }
  const visits = [...walk({ node: program as unknown as Node, parent: null, key: '', inType: false })];
  return {
    path,
    imports: visits.flatMap((visit) => importOf(visit, lineOf)),
    requires: visits.filter(isRequire).map(({ node }) => ({ name: String(node['name']), line: lineOf(node.start) })),
    effects: visits.flatMap((visit) => effectOf(visit, lineOf)),
    onlyReexports: isBarrel(program.body as unknown as Node[]),
  };
}

function lineFinder(source: string): (offset: number) => number {
  const starts = [0, ...Array.from(source.matchAll(/\n/g), (match) => match.index + 1)];
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1;
}

function* walk(visit: Visit): Generator<Visit> {
  yield visit;
  const { node, inType } = visit;
  for (const key of visitorKeys[node.type] ?? []) {
    const inTypeBelow = inType || (node.type.startsWith('TS') && key !== 'expression');
    for (const child of [node[key]].flat() as (Node | null | undefined)[]) {
      if (child) yield* walk({ node: child, parent: node, key, inType: inTypeBelow });
    }
  }
}

function importOf({ node }: Visit, lineOf: (offset: number) => number): Import[] {
  const line = lineOf(node.start);
  const all = (source: unknown, typeOnly = isTypeOnly(node)): Import[] => [
    { specifier: literal(source), names: ['*'], typeOnly, line },
  ];
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
      if (!node['source']) return [];
      return [{ specifier: literal(node['source']), names: valuesTaken(node), typeOnly: isTypeOnly(node), line }];
    case 'ExportAllDeclaration':
    case 'ImportExpression':
      return all(node['source']);
    case 'TSImportType':
      return all(node['source'], true);
    case 'TSExternalModuleReference':
      return all(node['expression']);
    case 'NewExpression':
      return isUrlOfThisModule(node) ? all((node['arguments'] as Node[])[0]) : [];
    default:
      return [];
  }
}

function literal(node: unknown): string | null {
  const { type, value } = node as Node;
  return type === 'Literal' && typeof value === 'string' ? value : null;
}

function valuesTaken(declaration: Node): string[] {
  if (isTypeOnly(declaration)) return [];
  return (declaration['specifiers'] as Node[]).filter((specifier) => !isTypeOnly(specifier)).map(takenName);
}

function isTypeOnly(node: Node): boolean {
  return node['importKind'] === 'type' || node['exportKind'] === 'type';
}

function takenName(specifier: Node): string {
  if (specifier.type === 'ImportDefaultSpecifier') return 'default';
  const name = (specifier['imported'] ?? specifier['local']) as Node;
  return specifier.type === 'ImportNamespaceSpecifier' ? '*' : String(name['name'] ?? name['value']);
}

/** `new URL('./x.ts', import.meta.url)` with a literal that names a source file. */
function isUrlOfThisModule(node: Node): boolean {
  const [target, base] = node['arguments'] as Node[];
  if (!isNamed(node['callee'], 'URL') || !target || base?.type !== 'MemberExpression') return false;
  return (base['object'] as Node).type === 'MetaProperty' && /\.[cm]?[jt]sx?$/.test(literal(target) ?? '');
}

function isNamed(node: unknown, name: string): boolean {
  return (node as Node).type === 'Identifier' && (node as Node)['name'] === name;
}

function isRequire(visit: Visit): boolean {
  const { node, parent, inType } = visit;
  if (inType || node.type !== 'Identifier') return false;
  if (node['name'] === 'createRequire') return parent?.type !== 'ImportSpecifier';
  return node['name'] === 'require' && parent?.type === 'CallExpression' && visit.key === 'callee';
}

function effectOf(visit: Visit, lineOf: (offset: number) => number): Use[] {
  const name = effectName(visit);
  return name === null ? [] : [{ name, line: lineOf(visit.node.start) }];
}

function effectName(visit: Visit): string | null {
  const { node, inType } = visit;
  if (inType) return null;
  if (node.type === 'MetaProperty') return (node['meta'] as Node)['name'] === 'import' ? 'import.meta' : null;
  if (node.type !== 'Identifier' || !isReference(visit)) return null;
  const name = String(node['name']);
  if (effectGlobals.has(name)) return name;
  const members = effectMembers.get(name);
  return members ? effectMemberName(visit, name, members) : null;
}

function isReference({ parent, key }: Visit): boolean {
  switch (parent?.type) {
    case 'MemberExpression':
      return key === 'object' || parent['computed'] === true;
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return key !== 'key' || parent['computed'] === true;
    case 'ImportSpecifier':
      return key === 'local';
    case 'ExportSpecifier':
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
    case 'MetaProperty':
      return false;
    default:
      return true;
  }
}

/** `Date.UTC`, `new Date(0)` and `x instanceof Date` have no effect; `Date.now`, `new Date()` and a bare `Date` may. */
function effectMemberName({ parent, key }: Visit, name: string, members: Set<string>): string | null {
  if (parent?.type === 'MemberExpression' && parent['computed'] === false) {
    const member = String((parent['property'] as Node)['name']);
    return members.has(member) ? `${name}.${member}` : null;
  }
  if (parent?.type === 'NewExpression' && key === 'callee') {
    return (parent['arguments'] as Node[]).length > 0 ? null : `new ${name}()`;
  }
  return parent?.type === 'BinaryExpression' && parent['operator'] === 'instanceof' ? null : name;
}

function isBarrel(body: Node[]): boolean {
  const isReexport = (node: Node): boolean =>
    node.type === 'ExportAllDeclaration' ||
    (node.type === 'ExportNamedDeclaration' && !node['declaration'] && (node['specifiers'] as Node[]).length > 0);
  return body.some(isReexport) && body.every((node) => isReexport(node) || node.type === 'ImportDeclaration');
}
