/** A Debian machine under systemd on which packages are installed; `packages-machine.sh` says what it is made of. Root only. */
import { readFile, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { isAlive } from '#test/support/lab-directory.ts';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';

export interface MachineResult {
  readonly exitCode?: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const PATIENCE_MS = 240_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export class PackagesMachine implements AsyncDisposable {
  readonly #nspawn: LabProcess;
  #init = 0;

  private constructor(nspawn: LabProcess) {
    this.#nspawn = nspawn;
  }

  /** @param layers an empty directory; @param packages what the machine sees as /packages/first and /packages/next. Resolves when systemd has started everything. */
  static async boot(layers: string, packages: readonly [string, string]): Promise<PackagesMachine> {
    await sweep();
    const script = join(import.meta.dirname, 'packages-machine.sh');
    const nspawn = startProcess(['unshare', '--mount', '--propagation=private', 'sh', script, layers, ...packages]);
    const machine = new PackagesMachine(nspawn);
    try {
      await machine.until('systemd runs', async () => machine.#hasBooted());
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a script as root's shell would, whatever comes of it. */
  async attempt(script: string): Promise<MachineResult> {
    const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd'];
    const clean = ['env', '-i', `PATH=${PATH}`, 'HOME=/root', 'LANG=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive'];
    return execa('nsenter', ['--target', String(this.#init), ...namespaces, ...clean, 'sh', '-euc', script], {
      reject: false,
      stdin: 'ignore',
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    });
  }

  /** The same, and it has to succeed: what it printed. */
  async run(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.attempt(script);
    if (exitCode === 0) return stdout;
    throw new Error(`${script}\nexit status ${exitCode}\n${stdout}\n${stderr}\n${await this.#journal()}`);
  }

  /** One property of a unit: `systemctl show`. */
  async show(unit: string, property: string): Promise<string> {
    return this.run(`systemctl show --value --property=${property} ${unit}`);
  }

  /** Polls until it holds. @throws after a generous time */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await holds())) {
      const { ending } = this.#nspawn;
      if (ending === undefined && performance.now() < deadline) await sleep(100);
      else
        throw new Error(
          `${what}: never came\n${this.#nspawn.stderr()}\n${this.#nspawn.stdout()}\n${await this.#journal()}`,
        );
    }
  }

  async #hasBooted(): Promise<boolean> {
    this.#init = await childOf(this.#nspawn.pid);
    if (this.#init === 0) return false;
    const { stdout } = await this.attempt('systemctl is-system-running || true');
    return stdout === 'running' || stdout === 'degraded';
  }

  async #journal(): Promise<string> {
    if (this.#init === 0 || this.#nspawn.ending !== undefined) return '';
    return (await this.attempt('journalctl --no-pager --lines=60')).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nspawn[Symbol.asyncDispose]();
    await sweep();
  }
}

/** The container's process 1 is the only child of systemd-nspawn once it has set the container up. */
async function childOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  for (const child of children.trim().split(' ').map(Number)) {
    const status = await readFile(`/proc/${child}/status`, 'utf8').catch(() => '');
    if (/^NSpid:\s+\d+\s+1$/m.test(status) && /^Name:\s+systemd$/m.test(status)) return child;
  }
  return 0;
}

/** Takes away the control groups of machines that are no more, also of killed test runs. */
async function sweep(): Promise<void> {
  for (const hierarchy of ['systemd', 'unified', ''].map((name) => join('/sys/fs/cgroup', name))) {
    for (const group of await readdir(hierarchy).catch(() => [])) {
      const [, pid] = /^countersign-(\d+)$/.exec(group) ?? [];
      if (pid !== undefined && !isAlive(Number(pid))) await removeGroups(join(hierarchy, group));
    }
  }
}

/** Control groups are removed from below; those that are gone, or still end, are left. */
async function removeGroups(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroups(join(directory, entry.name));
  await rmdir(directory).catch(() => undefined);
}
