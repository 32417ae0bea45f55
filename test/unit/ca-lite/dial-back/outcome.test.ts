import { expect, test } from 'vitest';
import { parseAddress } from '#ca-lite/address/address.ts';
import { checkDialable } from '#ca-lite/address/dialable.ts';
import { type FailedResult, explainFailure } from '#ca-lite/dial-back/outcome.ts';

const verdict = checkDialable(parseAddress('::1'), { allowed: [], own: [], allowLoopback: true });
const address = verdict.allowed ? verdict.address : expect.unreachable();
const facts = { address, port: 22, connections: 1, elapsedMilliseconds: 1 };

test.each([
  { ...facts, code: 'unreachable', cause: 'refused' },
  { ...facts, code: 'unreachable', cause: 'timed-out' },
  { ...facts, code: 'unreachable', cause: 'reset' },
  { ...facts, code: 'unreachable', cause: 'no-route' },
  { ...facts, code: 'not-ssh' },
  { ...facts, code: 'handshake-failed' },
  { ...facts, code: 'signature-invalid' },
  { ...facts, code: 'key-not-found' },
  { ...facts, code: 'too-slow' },
  { ...facts, code: 'too-much-data' },
  { ...facts, code: 'dial-back-busy' },
  { ...facts, code: 'aborted' },
] satisfies FailedResult[])('$code $cause has an explanation that names the target', (result) => {
  expect(explainFailure(result)).toMatch(/^The CA dialled back \[::1\]:22: .+\.$/);
});
