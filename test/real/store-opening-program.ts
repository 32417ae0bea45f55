/**
 * Opens a store as another user would, and says on stdout how that went, as one line of JSON. Root steps down first,
 * since no file mode stops root.
 *
 *   node store-opening-program.ts PATH
 */
import { StoreError } from '#ca-lite/store/errors.ts';
import { openSqliteReader, openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { intent } from '../contract/store-requests.ts';

const NOBODY = 65534;
const [path] = process.argv.slice(2);
if (path === undefined) process.exit(2);
if (process.getuid?.() === 0) {
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}

async function outcomeOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    return await action();
  } catch (error) {
    return error instanceof StoreError ? error.code : String(error);
  }
}

const write = await outcomeOf(async () => {
  await using store = await openSqliteStore({ path, role: 'administrator' });
  return (await store.recordIntent(intent(2n))).accepted;
});
const read = await outcomeOf(async () => {
  await using reader = await openSqliteReader(path);
  return (await reader.certificate(1n))?.state;
});
process.stdout.write(`${JSON.stringify({ write, read })}\n`);
