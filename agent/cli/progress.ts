/**
 * Progress of long work, on stderr: a line that turns into a tick on a terminal, plain lines in a pipe, nothing when a program
 * reads the result (`--json`). Standard output stays for the result.
 */

export interface Progress {
  /** Shows `text` while `work` runs, and whether it ended well. */
  run<T>(text: string, work: () => Promise<T>): Promise<T>;
  /** One line that is worth knowing. */
  note(text: string): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function createProgress(stream: ProgressStream, options: { readonly silent?: boolean } = {}): Progress {
  if (options.silent === true) return { run: async (_, work) => work(), note: () => {} };
  return stream.isTTY === true ? terminalProgress(stream) : lineProgress(stream);
}

function terminalProgress(stream: ProgressStream): Progress {
  const end = (mark: string, text: string) => stream.write(`\r\u001b[K${mark} ${text}\n`);
  return {
    note: (text) => end('\u001b[33m!\u001b[0m', text),
    run: async (text, work) => {
      stream.write(`\r\u001b[K\u001b[2m…\u001b[0m ${text}`);
      try {
        const result = await work();
        end('\u001b[32m✓\u001b[0m', text);
        return result;
      } catch (error) {
        end('\u001b[31m✗\u001b[0m', text);
        throw error;
      }
    },
  };
}

function lineProgress(stream: ProgressStream): Progress {
  return {
    note: (text) => stream.write(`note: ${text}\n`),
    run: async (text, work) => {
      try {
        const result = await work();
        stream.write(`ok: ${text}\n`);
        return result;
      } catch (error) {
        stream.write(`failed: ${text}\n`);
        throw error;
      }
    },
  };
}
