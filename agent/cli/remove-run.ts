/** `countersign host remove`: what it does, and how it tells. */
import { removeFromHost } from '../host/remove-host.ts';
import type { RemoveOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';
import { createProgress } from './progress.ts';

/** @throws StateError, HostError */
export async function runRemove(options: RemoveOptions): Promise<void> {
  const places = placesOf(options);
  const progress = createProgress(process.stderr, { silent: options.json === true });
  using interrupts = catchInterrupts();
  await using _change = await beginChange(places, progress);
  const outcome = await progress.run(
    'Putting everything back, reloading sshd and looking whether it answers',
    async () => {
      return removeFromHost(places, { force: options.force === true, signal: interrupts.signal });
    },
  );
  for (const remark of outcome?.remarks ?? []) progress.note(remark);
  const paths = outcome?.paths ?? [];
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ removed: paths, remarks: outcome?.remarks ?? [] }, null, 2)}\n`);
  else
    process.stdout.write(
      paths.length === 0 ? 'Nothing is installed.\n' : `Taken away or put back: ${paths.join(', ')}\n`,
    );
}
