/** What `npm run build` makes. A plain table; `test/unit/build/executables.test.ts` holds it against the sources. */

export interface ExecutablePlan {
  /** The file's name in dist/. */
  name: string;
  /** The program's first file, relative to the root. */
  entry: string;
  /** Its worker threads: the name that `startWorker` knows, and the file. Each is bundled by itself and embedded. */
  workers: Readonly<Record<string, string>>;
  /** Native add-ons to embed: the asset's name, and the file. One that was not compiled is left out. */
  addOns?: Readonly<Record<string, string>>;
}

export const executables: readonly ExecutablePlan[] = [
  {
    name: 'countersign',
    entry: 'agent/main.ts',
    workers: {},
    addOns: { 'keytar.node': 'node_modules/keytar/build/Release/keytar.node' },
  },
  {
    name: 'countersign-ca',
    entry: 'ca-lite/main.ts',
    workers: { 'sqlite-worker': 'ca-lite/store/sqlite-worker.ts', 'krl-worker': 'ca-lite/revocation/krl-worker.ts' },
    addOns: { 'pkcs11.node': 'node_modules/pkcs11js/build/Release/pkcs11.node' },
  },
];
