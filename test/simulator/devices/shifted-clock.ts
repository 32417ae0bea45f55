/**
 * Loaded before a program (`node --import`): its clock is the real one plus the milliseconds in the file that COUNTERSIGN_CLOCK_FILE names, a
 * double in 8 bytes, read at each look. So a program that knows nothing of it lives through months while a test runs.
 */
import { openSync, readSync } from 'node:fs';

const path = process.env['COUNTERSIGN_CLOCK_FILE'];
if (path === undefined) throw new Error('COUNTERSIGN_CLOCK_FILE is not set');
const file = openSync(path, 'r');
const bytes = Buffer.alloc(8);
const real = Date.now.bind(Date);

Date.now = () => {
  readSync(file, bytes, 0, 8, 0);
  return real() + bytes.readDoubleLE();
};
