/** `countersign host remove`: what it does, and how it tells. */
import { hostDirectory } from '../host/host-record.ts';
import { type RemovalOutcome, removeFromHost } from '../host/remove-host.ts';
import { checkStateDirectory } from '../state/state-directory.ts';
import type { RemoveOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';
import { createProgress } from './progress.ts';

const NOTHING: RemovalOutcome = { paths: [], remarks: [] };

/** @throws StateError, HostError */
export async function runRemove(options: RemoveOptions): Promise<void> {
  const places = placesOf(options);
  if (!(await checkStateDirectory(hostDirectory(places.stateDirectory)))) return tell(options, NOTHING);
  const progress = createProgress(process.stderr, { silent: options.json === true });
  using interrupts = catchInterrupts();
  await using _change = await beginChange(places, progress);
  const outcome = await progress.run(
    'Putting everything back, reloading sshd and looking whether it answers',
    async () => removeFromHost(places, { force: options.force === true, signal: interrupts.signal }),
  );
  for (const remark of outcome?.remarks ?? []) progress.note(remark);
  tell(options, outcome ?? NOTHING);
}

function tell({ json }: RemoveOptions, { paths, remarks }: RemovalOutcome): void {
  const text = paths.length === 0 ? 'Nothing is installed.' : `Taken away or put back: ${paths.join(', ')}`;
  process.stdout.write(`${json === true ? JSON.stringify({ removed: paths, remarks }, null, 2) : text}\n`);
}
