/**
 * Loaded before a program (`node --import`): prints its commands as JSON instead of parsing a command line. Man pages and completions
 * are made from what this prints, so they cannot tell of an option that the program does not have.
 */
import type { EventEmitter } from 'node:events';
import { writeSync } from 'node:fs';
import { Command } from 'commander';
import type { CommandFacts } from './command-facts.ts';

Command.prototype.parseAsync = function print(this: Command): never {
  let rest = Buffer.from(JSON.stringify(factsOf(this)));
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  process.exit(0);
};

function factsOf(command: Command): CommandFacts {
  const help = command.createHelp();
  return {
    name: command.name(),
    aliases: command.aliases(),
    summary: command.summary() || command.description(),
    description: command.description(),
    runs: Reflect.get(command, '_actionHandler') !== null,
    details: detailsOf(command),
    arguments: command.registeredArguments.map((one) => ({
      name: one.name(),
      description: one.description,
      required: one.required,
      variadic: one.variadic,
      choices: one.argChoices ?? [],
    })),
    options: help.visibleOptions(command).map((option) => ({
      short: option.short ?? null,
      long: option.long ?? null,
      value: /[<[](.+)[>\]]/.exec(option.flags)?.[1] ?? null,
      description: option.description,
      choices: option.argChoices ?? [],
      variable: option.envVar ?? null,
      defaultText: defaultText(option.defaultValue, option.defaultValueDescription),
      mandatory: option.mandatory,
    })),
    commands: help
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .map(factsOf),
  };
}

/** What `--help` says behind the options. */
function detailsOf(command: Command): string {
  let text = '';
  const write = (part: string): void => void (text += part);
  const emitter = command as unknown as EventEmitter; // which its types do not say
  if (command.parent !== null) emitter.emit('afterHelp', { error: false, command, write });
  return text.trim();
}

/** As `--help` shows it; nothing for what says nothing. */
function defaultText(value: unknown, description: string | undefined): string | null {
  if (description !== undefined) return description;
  if (value === undefined || value === true || value === false || value === '') return null;
  if (Array.isArray(value)) return value.length === 0 ? null : value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
