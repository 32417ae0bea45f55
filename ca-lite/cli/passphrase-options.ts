/** The options by which every command that needs the CA keys takes their passphrase. */
import type { Command } from 'commander';
import { parseDescriptor } from './option-value.ts';

export function addPassphraseOptions(command: Command): Command {
  return command
    .option('--passphrase-file <file>', 'read the passphrase of the CA keys from this file (one line)')
    .option('--passphrase-fd <number>', 'read it from this open file descriptor', parseDescriptor);
}
