/**
 * A machine on which the commands of the documentation are true as they stand: name, addresses, DNS, /etc, /var, root's home and process ids of
 * its own (namespaces, and layers over the real files), a stock sshd, and our programs on the PATH. Root only.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type LabProcess, startProcess } from './lab-process.ts';
import type { Machine } from './lab.ts';
import { type Program, agentProgram, caProgram } from './programs.ts';

export interface ScriptResult {
  readonly exitCode: number | undefined;
  /** Both streams, as a terminal would have it. */
  readonly output: string;
}

const project = join(import.meta.dirname, '../..');
/** On two cores that have much else to do. */
const SCRIPT_TIMEOUT_MS = 10 * 60_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Commands that stay: they are put in the background once they say that they are ready. */
const servers: readonly { readonly command: RegExp; readonly ready: string }[] = [
  { command: /(^|\s)countersign-ca serve\b/, ready: '^Serving ' },
  { command: /(^|\s)countersign agent( -[aD]\b.*)?$/, ready: 'SSH_AUTH_SOCK' },
];

export class DocMachine implements AsyncDisposable {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly #directory: string;
  readonly #holder: LabProcess;
  #scripts = 0;

  constructor(name: string, machine: Machine, holder: LabProcess) {
    this.name = name;
    this.addresses = machine.addresses;
    this.#directory = machine.directory;
    this.#holder = holder;
  }

  /** @param name in full, as `hostname -f` has it */
  static async open(machine: Machine, name: string): Promise<DocMachine> {
    const layers = join(machine.directory, 'layers');
    await mkdir(layers, { recursive: true });
    const namespaces = ['--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const setUp = ['sh', join(import.meta.dirname, 'doc-machine.sh'), layers, name];
    const holder = startProcess(machine.command(['unshare', ...namespaces, ...setUp]));
    const opened = new DocMachine(name, machine, holder);
    try {
      await holder.until((one) => one.stdout().includes('ready'));
      await opened.#prepare();
      return opened;
    } catch (error) {
      await holder.stop();
      throw error;
    }
  }

  /** Runs a script as root's shell would, in the directory and with the exported variables that the one before left. */
  async run(script: string): Promise<ScriptResult> {
    this.#scripts += 1;
    const file = join(this.#directory, `script-${this.#scripts}.sh`);
    await writeFile(file, frame(script, this.#directory, this.#scripts));
    const { pid } = this.#holder;
    const enter = ['-t', String(pid), '--mount', '--uts', '--net', `--pid=/proc/${pid}/ns/pid_for_children`];
    const clean = ['env', '-i', `PATH=${PATH}`, 'HOME=/root', 'USER=root', 'LOGNAME=root', 'LANG=C.UTF-8', 'TERM=dumb'];
    // Into a file: a pipe would be waited for as long as anything that the script started lives.
    const output = join(this.#directory, `output-${this.#scripts}`);
    const shell = ['sh', '-c', `exec sh '${file}' >'${output}' 2>&1`];
    const { exitCode } = await execa('nsenter', [...enter, '--', ...clean, ...shell], {
      reject: false,
      stdio: 'ignore',
      timeout: SCRIPT_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const printed = await Promise.all([output, join(this.#directory, 'servers.log')].map(readOptional));
    return { exitCode, output: printed.join('\n') };
  }

  /** The same, and it has to succeed. */
  async must(script: string): Promise<string> {
    const { exitCode, output } = await this.run(script);
    if (exitCode !== 0) throw new Error(`on ${this.name}, status ${exitCode}:\n${script}\n${output}`);
    return output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.signal('SIGKILL'); // --kill-child: whatever runs in there ends with it
    await this.#holder.ended;
  }

  /** What a page may take for granted: the programs, the project's files beside one, a running sshd. */
  async #prepare(): Promise<void> {
    await this.must(
      [
        'mkdir -p /root/countersign/dist',
        'cd /root/countersign',
        `ln -s '${project}/docs' docs`,
        `ln -s '${project}/README.md' README.md`,
        ...[['countersign', agentProgram()] as const, ['countersign-ca', caProgram()] as const].flatMap(installed),
        `install -m 0755 '${join(import.meta.dirname, 'doc-systemctl.sh')}' /usr/local/bin/systemctl`,
        'systemctl start ssh',
      ].join('\n'),
    );
  }
}

async function readOptional(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** An executable as `npm run build` leaves it in dist/, and on the PATH. Sources are started by a script of the same name. */
function installed([name, program]: readonly [string, Program]): string[] {
  const [file, ...args] = program;
  const words = [file, ...args].map((word) => `'${word}'`).join(' ');
  return [
    args.length === 0
      ? `ln -s '${file}' dist/${name}`
      : `printf '#!/bin/sh\\nexec ${words.replaceAll("'", '"')} "$@"\\n' >dist/${name}; chmod 755 dist/${name}`,
    `ln -s /root/countersign/dist/${name} /usr/local/bin/${name}`,
  ];
}

/** The script, between what the last one left and what the next one finds. */
function frame(script: string, directory: string, number: number): string {
  const state = join(directory, 'shell');
  const log = join(directory, 'servers.log');
  return `set -eu
umask 022
[ ! -f '${state}.env' ] || . '${state}.env'
cd "$(cat '${state}.cwd' 2>/dev/null || echo /root/countersign 2>/dev/null)" 2>/dev/null || cd /root
until_ready() {
  tries=0
  until grep -q "$1" '${log}.${number}'; do
    kill -0 "$2" 2>/dev/null || { cat '${log}.${number}'; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -lt 1800 ] || { cat '${log}.${number}'; exit 1; }
    sleep 0.1
  done
  cat '${log}.${number}' >>'${log}'
}
${inBackground(script, `${log}.${number}`)}
export -p >'${state}.env'
pwd >'${state}.cwd'
`;
}

/** Lines that start a server, continued lines included, do not keep the script. */
function inBackground(script: string, log: string): string {
  const joined = script.replace(/\\\n\s*/g, '\u0000');
  const lines = joined.split('\n').map((line) => {
    const server = servers.find(({ command }) => command.test(line.replaceAll('\u0000', ' ').trim()));
    if (server === undefined || line.trimStart().startsWith('#')) return line;
    return `: >'${log}'\n${line} >>'${log}' 2>&1 &\nuntil_ready '${server.ready}' $!`;
  });
  return lines.join('\n').replaceAll('\u0000', '\\\n  ');
}
