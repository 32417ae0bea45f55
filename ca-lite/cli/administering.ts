/** The store of a CA directory, for commands that change something; beside a running server too. */
import { userInfo } from 'node:os';
import { caLayout } from '../directory/layout.ts';
import { openConfig, storePath } from '../directory/open-config.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';

/** @throws CommandError, StoreError */
export async function openAdministrator(directory: string): Promise<Store> {
  const layout = caLayout(directory);
  return openSqliteStore({ path: storePath(layout, await openConfig(layout)), role: 'administrator' });
}

/** Who acts, as the audit log names it. */
export function administrator(): string {
  return userInfo().username;
}
