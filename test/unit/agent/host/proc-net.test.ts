import { expect, test } from 'vitest';
import { parseListeningSockets } from '#agent/host/proc-net.ts';

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const tcp = `${header}
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 102 1 0000000000000000 100 0 0 10 0
   2: 0100007F:0016 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0000000000000000 20 4 30 10 -1
`;
const tcp6 = `${header}
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 201 1
   1: B80D0120000000000000000007000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 202 1
`;

test('finds the listening sockets with their addresses, of a little-endian machine', () => {
  expect([...parseListeningSockets(tcp, true), ...parseListeningSockets(tcp6, true)]).toEqual([
    { address: '127.0.0.1', port: 22, inode: '101' },
    { address: '0.0.0.0', port: 8080, inode: '102' },
    { address: '::', port: 22, inode: '201' },
    { address: '2001:db8::7', port: 22, inode: '202' },
  ]);
});

test('reads the words of a big-endian machine as they are', () => {
  const [first] = parseListeningSockets(tcp.replaceAll('0100007F', '7F000001'), false);
  expect(first?.address).toBe('127.0.0.1');
});

test('passes by what is not a table', () => {
  expect(parseListeningSockets('', true)).toEqual([]);
  expect(parseListeningSockets('0: zz:0016 x 0A\n', true)).toEqual([]);
});
