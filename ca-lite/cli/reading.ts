/** The store of a CA directory, for commands that only look; beside a running server too. */
import { caLayout } from '../directory/layout.ts';
import { openConfig, storePath } from '../directory/open-config.ts';
import { openSqliteReader } from '../store/sqlite-store.ts';
import type { Page } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';

export async function openReader(directory: string): Promise<StoreReader> {
  const layout = caLayout(directory);
  return openSqliteReader(storePath(layout, await openConfig(layout)));
}

/** Up to `limit` items of a listing that comes in pages. */
export async function take<Item>(
  limit: number,
  page: (cursor: string | undefined) => Promise<Page<Item>>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const { items: more, next } = await page(cursor);
    items.push(...more);
    cursor = next ?? undefined;
  } while (cursor !== undefined && items.length < limit);
  return items.slice(0, limit);
}

export const PAGE_LENGTH = 500;
