/** A test run that is going to be killed: a laboratory with one machine and a process on it. */
import { readFileSync } from 'node:fs';
import { startProcess } from '#test/support/lab-process.ts';
import { openLab } from '#test/support/lab.ts';

const lab = await openLab();
const machine = await lab.addMachine('a');
const running = startProcess(machine.command(['sleep', '1000']));
const { pid } = running;
// Its death with this process is arranged by then, and not before.
await running.until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
const namespace = lab.kind === 'namespaces' ? machine.command([])[3] : '';
process.stdout.write(JSON.stringify({ pid, namespace, directory: lab.directory }));
setInterval(() => {}, 1000);
