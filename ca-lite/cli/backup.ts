/** `countersign-ca backup FILE` and `countersign-ca restore FILE`: the whole CA in one file, and back. */
import { userInfo } from 'node:os';
import { makeBackup } from '../backup/make-backup.ts';
import { restoreBackup } from '../backup/restore-backup.ts';
import { caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';
import { nowInSeconds } from './epoch.ts';
import { printFacts, printJson } from './output.ts';

export interface BackupOptions {
  readonly dir: string;
  readonly json?: boolean;
}

export async function backup(target: string, { dir, json }: BackupOptions): Promise<void> {
  const layout = caLayout(dir);
  const config = await openConfig(layout);
  const made = await makeBackup({ layout, config, target, now: nowInSeconds(), actor: userInfo().username });
  const { file, bytes, skipped, manifest } = made;
  if (json === true) return printJson({ file, bytes, skipped, ...manifest });
  for (const path of skipped) process.stderr.write(`left out: ${path}, which is no file of a CA\n`);
  printFacts([
    ['Backup', file],
    ['Size', `${bytes} bytes, ${manifest.files.length} files`],
    ['Root fingerprint', manifest.rootFingerprint ?? '(none yet)'],
    ['Audit log', `${manifest.audit.entries} entries`],
    ['Head', manifest.audit.head],
  ]);
  process.stdout.write(
    '\nKeep it where the CA is not, and the passphrase of the keys elsewhere again: each is of no use without the other.\n',
  );
}

export async function restore(file: string, { dir, json }: BackupOptions): Promise<void> {
  const { directory, manifest } = await restoreBackup({
    file,
    target: dir,
    now: nowInSeconds(),
    actor: userInfo().username,
  });
  if (json === true) return printJson({ directory, ...manifest });
  printFacts([
    ['CA directory', directory],
    ['As of', manifest.madeAt],
    ['Root fingerprint', manifest.rootFingerprint ?? '(none yet)'],
    ['Audit log', `whole, ${manifest.audit.entries} entries`],
  ]);
  process.stdout.write(`
The CA of which this is a copy must not serve any more: two with the same keys do not know what the other issues.
What it decided after ${manifest.madeAt} is not on record here: hosts that enrolled since may have to enrol again.
Next: countersign-ca serve --dir ${directory}
`);
}
