/** Programs that see another time than the rest of the machine, by libfaketime. Clocks that nobody sets stay as they are. */
import { execa } from 'execa';

/** The start of a command line. @param when `@1970-01-01 00:00:10`, `-600`, or the path of a file that says so and may change */
export async function inFakeTime(when: string): Promise<readonly string[]> {
  const { stdout: library } = await execa('faketime', ['-m', '-f', '+0', 'printenv', 'LD_PRELOAD']);
  const from = when.startsWith('/') ? [`FAKETIME_TIMESTAMP_FILE=${when}`, 'FAKETIME_NO_CACHE=1'] : [`FAKETIME=${when}`];
  // Without shared memory, a program that is killed leaves nothing. Without a reset, programs that it starts go on with its time.
  const settings = ['TZ=UTC', 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'FAKETIME_DONT_RESET=1', 'FAKETIME_DISABLE_SHM=1'];
  return ['env', `LD_PRELOAD=${library.trim()}`, ...settings, ...from];
}
