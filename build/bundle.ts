/**
 * Bundles a program, with the packages that it uses, into one text without a sourcemap, names kept readable for stack
 * traces. The text runs inside the single executable, where nothing but Node's built-in modules can be imported.
 *
 * Refuses on purpose: a bundle that would import anything else at run time. Native add-ons are left out; the packages
 * that offer one (ssh2) have the same in JavaScript.
 */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build as esbuild, type Metafile, type Plugin } from 'esbuild';

/** `module` for programs, so that they may await at the top; `script` for worker threads, which run as text and may not. */
export type BundleKind = 'module' | 'script';

/** A bundle that would look for a file or package at run time. */
export class OpenBundleError extends Error {
  readonly code = 'open-bundle';
}

const root = join(import.meta.dirname, '..');

/**
 * What packages in CommonJS find around them. `require` gives built-in modules and nothing from a disk: a package that
 * tries an optional one finds it missing, also when somebody put one beside the executable. The directory is one in
 * which no file can be.
 */
const commonJsScope = `const __dirname = '/dev/null', __filename = '/dev/null/bundle.js';
const require = (name) => {
  const module = process.getBuiltinModule(name);
  if (module) return module;
  throw Object.assign(new Error(\`Cannot find module '\${name}'\`), { code: 'MODULE_NOT_FOUND' });
};`;

/** @throws OpenBundleError if anything but built-in modules stays outside */
export async function bundle(entry: string, kind: BundleKind): Promise<string> {
  const { metafile, outputFiles } = await esbuild({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    sourcemap: false,
    platform: 'node',
    target: 'node26',
    format: kind === 'module' ? 'esm' : 'iife',
    banner: { js: commonJsScope },
    legalComments: 'none',
    // the text stays in the memory of the program: without comments and indentation the idle agent takes 5 MB less
    minifyWhitespace: true,
    lineLimit: 160,
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
    plugins: [leaveOutNativeAddons, versionOnly, loadBuiltinsWhenUsed],
  });
  refuseOpenImports(entry, metafile);
  return outputFiles.map(({ text }) => text).join('');
}

/**
 * Packages load these in a `try` and go on without. The one of PKCS#11 is inside the executable: `ca-lite/pkcs11/addon.ts` loads
 * it, and leaves it where the package finds it.
 */
const leaveOutNativeAddons: Plugin = {
  name: 'leave-out-native-addons',
  setup(build) {
    build.onResolve({ filter: /\/pkcs11\.node$/ }, ({ path }) => ({ path, namespace: 'embedded-addon' }));
    build.onLoad({ filter: /.*/, namespace: 'embedded-addon' }, () => ({
      contents: `module.exports = globalThis[Symbol.for('countersign pkcs11.node')];`,
    }));
    build.onResolve({ filter: /^pkcs11js$/ }, ({ path }) =>
      existsSync(join(root, 'node_modules', path)) ? undefined : { path, namespace: 'native-addon' },
    );
    build.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: 'native-addon' }));
    build.onLoad({ filter: /.*/, namespace: 'native-addon' }, ({ path }) => ({
      contents: `throw Object.assign(new Error(${JSON.stringify(`${path} is left out`)}), { code: 'MODULE_NOT_FOUND' });`,
    }));
  },
};

/** Of package.json only the version goes in, so that the executable stays the same when a script is renamed. */
const versionOnly: Plugin = {
  name: 'version-only',
  setup(build) {
    build.onLoad({ filter: /package\.json$/ }, async ({ path }) => {
      if (path !== join(root, 'package.json')) return null;
      const { default: manifest } = (await import('../package.json', { with: { type: 'json' } })) as {
        default: { version: string };
      };
      return { contents: JSON.stringify({ version: manifest.version }), loader: 'json' };
    });
  },
};

/**
 * A built-in module is loaded when the first module that imports it runs. As `import` statements they would all move to
 * the top of the one file, and a program would load HTTP, TLS and the rest for commands that it does not run: the
 * agent's idle memory was 10 MB more.
 */
const loadBuiltinsWhenUsed: Plugin = {
  name: 'load-builtins-when-used',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : null,
    );
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

function refuseOpenImports(entry: string, { outputs }: Metafile): void {
  const open = Object.values(outputs)
    .flatMap(({ imports }) => imports.filter(({ external }) => external))
    .filter(({ path, kind }) => kind !== 'require-call' && !isBuiltin(path));
  if (open.length === 0) return;
  const names = open.map(({ path }) => path).join(', ');
  throw new OpenBundleError(`${entry} would import ${names} at run time, which a single executable cannot`);
}
