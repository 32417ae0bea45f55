/**
 * What stands at the top of every bundle: how it loads its parts, and what packages in CommonJS find around them.
 *
 * A part is an asset of the executable under its name, and its code cache another one. Its text is taken as Latin-1, which a bundle
 * without characters beyond ASCII is, so that V8 keeps a byte for a character. It is made a script of when it is used first.
 *
 * `require` gives parts, built-in modules, and nothing from a disk: a package that tries an optional one finds it missing, also
 * when somebody put one beside the executable. The directory is one in which no file can be.
 */

/** The asset with the code cache of a part. */
export function cacheName(part: string): string {
  return `${part}.cache`;
}

export const partLoader = `const __dirname = '/dev/null', __filename = '/dev/null/bundle.js';
const loadedParts = new Map();
const loadPart = (name) => {
  const module = { exports: {} };
  loadedParts.set(name, module);
  try {
    const { getRawAsset } = process.getBuiltinModule('node:sea'), { Script } = process.getBuiltinModule('node:vm');
    const [text, cachedData] = [name, \`\${name}.cache\`].map((asset) => Buffer.from(getRawAsset(asset)));
    new Script(text.latin1Slice(), { filename: name, cachedData }).runInThisContext()(module.exports, load, module, __filename, __dirname);
    return module;
  } catch (error) {
    loadedParts.delete(name);
    throw error;
  }
};
const load = (name) => {
  const module = process.getBuiltinModule(name);
  if (module) return module;
  if (name.startsWith('./')) return (loadedParts.get(name) ?? loadPart(name)).exports;
  throw Object.assign(new Error(\`Cannot find module '\${name}'\`), { code: 'MODULE_NOT_FOUND' });
};
const require = load;
`;
