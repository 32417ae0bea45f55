/** Runs one command: its failure becomes one clear sentence on stderr and exit status 1; what nobody foresaw keeps its stack. */
import { ConfigError } from '../config/parse.ts';
import { CommandError } from '../command-error.ts';
import { SecretError } from '../directory/secrets.ts';
import { StoreError } from '../store/errors.ts';
import { HsmError } from '../yubihsm/errors.ts';

/**
 * The action of a command whose code is loaded when it runs. The types of the arguments are those of the loaded function:
 * commander checked them against the declared arguments and options.
 */
export function running(
  load: () => Promise<(...args: never[]) => Promise<void>>,
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    try {
      const action = await load();
      await action(...(args as never[]));
    } catch (error) {
      process.exitCode = 1;
      process.stderr.write(`countersign-ca: ${describe(error)}\n`);
    }
  };
}

function describe(error: unknown): string {
  const known = [CommandError, ConfigError, SecretError, StoreError, HsmError].some((kind) => error instanceof kind);
  if (known && error instanceof Error) return error.message;
  if (error instanceof Error && error.name === 'ExitPromptError') return 'Stopped at the prompt; nothing was done.';
  return `an unforeseen failure. Please report it with what follows:\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
