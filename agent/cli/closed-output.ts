/** Standard output whose reader has gone, as in `... | head -1`: nobody is there to be told, and the work goes on to its end. */
import type { Writable } from 'node:stream';

/** Any other fault of the output stays an uncaught error. */
export function tolerateClosedOutput(output: Writable): void {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
