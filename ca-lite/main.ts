/** The program `countersign-ca`. */
import { CommanderError } from 'commander';
import { tolerateClosedOutput } from './cli/closed-output.ts';
import { createProgram } from './cli/program.ts';

const WRONG_USAGE = 2;

tolerateClosedOutput(process.stdout);
const program = createProgram();
for (const command of [program, ...program.commands, ...program.commands.flatMap((sub) => sub.commands)])
  command.exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
}
