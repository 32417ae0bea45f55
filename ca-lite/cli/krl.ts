/** `countersign-ca krl`: the KRL as it is served, on standard output's terms: a summary, or the file with `-o`. */
import { replaceFile } from '../files/write-new.ts';
import { KrlBuilder } from '../revocation/krl-builder.ts';
import { printFacts, printJson } from './output.ts';
import { openReader } from './reading.ts';

export interface KrlOptions {
  readonly dir: string;
  readonly output?: string;
  readonly json?: boolean;
}

export async function krl({ dir, output, json }: KrlOptions): Promise<void> {
  await using store = await openReader(dir);
  const { number, bytes, serials, keys } = await new KrlBuilder(store).build();
  if (output !== undefined) await replaceFile(output, bytes, 0o644);
  if (json === true) return printJson({ number, serials, keys, bytes: bytes.length, output: output ?? null });
  printFacts([
    ['Number', number],
    ['Certificates', serials],
    ['Keys', keys],
    ['Bytes', bytes.length],
  ]);
  process.stdout.write(
    output === undefined
      ? `Write it with -o FILE, and ask it with: ssh-keygen -Q -f FILE KEY\n`
      : `Written to ${output}. Ask it with: ssh-keygen -Q -f ${output} KEY\n`,
  );
}
