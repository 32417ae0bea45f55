/**
 * Bundles a program, with the packages that it uses, into texts without a sourcemap, names kept readable for stack traces. They run
 * inside the single executable, where nothing but Node's built-in modules can be imported.
 *
 * A program is a main text and parts, cut where the sources say `import()`: a command reads, compiles and holds in memory only the
 * parts that it uses. The main text loads them from the assets of the executable, with the code cache that lies beside each.
 *
 * Refuses on purpose: a bundle that would import anything else at run time. Native add-ons are left out; the packages
 * that offer one (ssh2) have the same in JavaScript.
 */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join, parse } from 'node:path';
import {
  type BuildOptions,
  type Metafile,
  type Plugin,
  type TransformOptions,
  build as esbuild,
  transform,
} from 'esbuild';
import { partLoader } from './part-loader.ts';

export interface ProgramBundle {
  /** A module. */
  readonly main: string;
  /** By the name under which main text and parts load them: `./NAME.js`. Each is a function expression, as `partLoader` takes it. */
  readonly parts: Readonly<Record<string, string>>;
}

/** A bundle that would look for a file or package at run time. */
export class OpenBundleError extends Error {
  readonly code = 'open-bundle';
}

const root = join(import.meta.dirname, '..');

const form = {
  platform: 'node',
  target: 'node26',
  legalComments: 'none',
  // the text stays in the memory of the program
  minifyWhitespace: true,
  lineLimit: 160,
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
} as const satisfies TransformOptions;

/** @throws OpenBundleError if anything but built-in modules stays outside */
export async function bundleProgram(entry: string): Promise<ProgramBundle> {
  const texts = await bundleSources(entry, { format: 'esm', splitting: true, outdir: join(root, 'parts') });
  const mainName = `${parse(entry).name}.js`;
  const parts = texts
    .filter(([name]) => name !== mainName)
    .map(async ([name, text]) => [`./${name}`, await asPart(text)] as const);
  const main = await asMain(new Map(texts).get(mainName) ?? '');
  return { main, parts: Object.fromEntries(await Promise.all(parts)) };
}

/** One text, which may not await at the top: a worker thread. @throws OpenBundleError if anything but built-in modules stays outside */
export async function bundleWorker(entry: string): Promise<string> {
  const texts = await bundleSources(entry, { format: 'iife', banner: { js: partLoader }, plugins: [loadWhenUsed] });
  return texts.map(([, text]) => text).join('');
}

/** Name and text of each file. */
async function bundleSources(
  entry: string,
  { plugins = [], ...more }: BuildOptions,
): Promise<(readonly [string, string])[]> {
  const { metafile, outputFiles } = await esbuild({
    ...form,
    ...more,
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    plugins: [leaveOutNativeAddons, requestsOnly, versionOnly, ...plugins],
  });
  refuseOpenImports(entry, metafile);
  return outputFiles.map(({ path, text }) => [basename(path), text] as const);
}

/** A module that may await at the top. It imports built-in modules and parts alone. */
async function asMain(text: string): Promise<string> {
  const { outputFiles } = await esbuild({
    ...form,
    absWorkingDir: root,
    stdin: { contents: text, resolveDir: root },
    bundle: true,
    write: false,
    format: 'esm',
    banner: { js: partLoader },
    plugins: [loadWhenUsed],
  });
  return outputFiles.map(({ text: bundled }) => bundled).join('');
}

/** What esbuild has to say of the sources was said before. */
async function asPart(text: string): Promise<string> {
  const { code } = await transform(text, {
    ...form,
    define: { ...form.define, 'import.meta.url': '"file:///dev/null/bundle.js"' },
    format: 'cjs',
    supported: { 'dynamic-import': false },
    logLevel: 'error',
  });
  return `(function(exports,require,module,__filename,__dirname){${code}})`;
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

/**
 * The agent's client of the CA makes HTTP/1.1 requests with `undici`: of the package it gets that much. The whole, with `fetch`,
 * WebSocket, caches and HTTP/2, would cost each command that asks the CA more time than its own code.
 */
const requestsOnly: Plugin = {
  name: 'requests-only',
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, ({ importer, path }) =>
      importer.startsWith(join(root, 'agent/ca/')) ? { path, namespace: 'requests-only' } : null,
    );
    build.onLoad({ filter: /.*/, namespace: 'requests-only' }, () => ({
      resolveDir: root,
      contents: `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import request from 'undici/lib/api/api-request.js';
Dispatcher.prototype.request = request;
export { default as Agent } from 'undici/lib/dispatcher/agent.js';
export { default as buildConnector } from 'undici/lib/core/connect.js';
export { default as errors } from 'undici/lib/core/errors.js';`,
    }));
    build.onResolve({ filter: /^node:http2$/ }, ({ importer, path }) =>
      importer.includes('/undici/') ? { path, namespace: 'native-addon' } : null,
    );
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
 * A built-in module, or a part, is loaded when the first module that imports it runs. As `import` statements they would all move to
 * the top of the one file, and a program would load HTTP, TLS and the rest for commands that it does not run: the
 * agent's idle memory was 10 MB more.
 */
const loadWhenUsed: Plugin = {
  name: 'load-when-used',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path, kind, importer }) => {
      const isPart = importer === '<stdin>' && path.startsWith('./');
      const isImported = kind === 'import-statement' || kind === 'dynamic-import';
      return isImported && (isPart || isBuiltin(path)) ? { path, namespace: 'used' } : null;
    });
    build.onLoad({ filter: /.*/, namespace: 'used' }, ({ path }) => ({
      contents: `module.exports = load(${JSON.stringify(path)});`,
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
