/** `countersign-ca import-intermediate` */
import { caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';
import { importIntermediate as importFiles } from '../init/import-intermediate.ts';
import { printJson } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

export interface ImportOptions extends PassphraseOptions {
  readonly dir: string;
  readonly root?: string;
  readonly json?: boolean;
}

export async function importIntermediate(certificateFile: string, options: ImportOptions): Promise<void> {
  const layout = caLayout(options.dir);
  await openConfig(layout);
  const files = options.root === undefined ? { certificateFile } : { certificateFile, rootFile: options.root };
  const rootFingerprint = await importFiles(files, layout, await readPassphrase(options), new Date());
  if (options.json === true) return printJson({ rootFingerprint });
  process.stdout.write(`Root fingerprint ${rootFingerprint}\nNext: countersign-ca serve --dir ${options.dir}\n`);
}
