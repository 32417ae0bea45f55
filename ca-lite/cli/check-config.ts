/** `countersign-ca check-config`: everything that is wrong with ca.toml, at once. */
import { caLayout } from '../directory/layout.ts';
import { openConfig } from '../directory/open-config.ts';

export async function checkConfig({ dir }: { readonly dir: string }): Promise<void> {
  const layout = caLayout(dir);
  await openConfig(layout);
  process.stdout.write(
    `${layout.config} is in order. A running CA takes it over with SIGHUP (systemctl reload countersign-ca).\n`,
  );
}
