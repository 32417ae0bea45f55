/**
 * The frame of the `countersign` command line: how it parses, how it fails, and with which exit status.
 * 0 done; 1 refused or failed, with one clear sentence on stderr and what to do next; 2 wrong usage.
 */
import { Command, CommanderError } from 'commander';
import { version } from '#protocol/version.ts';
import { type Failure, isFailure } from '../failure.ts';
import { tolerateClosedOutput } from './closed-output.ts';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

const epilogue = `
Exit status: 0 done; 1 refused or failed (stderr says why and what to do next); 2 wrong usage.
Documentation: docs/host-agent.md of the project.`;

/** The program without its commands. Sub-commands made with `.command()` inherit its ways. */
export function createProgram(): Command {
  return new Command('countersign')
    .description('SSH certificates for plain OpenSSH: proves host keys to a CA, and keeps user keys in memory.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .addHelpText('after', epilogue)
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .exitOverride();
}

/** Parses and runs. Resolves with the exit status; never rejects for an expected failure. */
export async function runProgram(program: Command, argv: readonly string[]): Promise<number> {
  tolerateClosedOutput(process.stdout);
  try {
    await program.parseAsync([...argv]);
    return Number(process.exitCode ?? EXIT_DONE);
  } catch (error) {
    if (error instanceof CommanderError) return exitStatusOfUsage(error);
    if (!isFailure(error)) throw error;
    process.stderr.write(formatFailure(error));
    return EXIT_FAILED;
  }
}

/** Commander has printed help or its complaint by now. */
function exitStatusOfUsage(error: CommanderError): number {
  return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
}

/** `countersign: what happened [code]`, then what to do. */
export function formatFailure(failure: Failure): string {
  const advice = failure.advice === undefined ? '' : `${indent(failure.advice)}\n`;
  return `countersign: ${failure.message} [${failure.code}]\n${advice}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

/** For `.option(…, collect)`: an option that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
