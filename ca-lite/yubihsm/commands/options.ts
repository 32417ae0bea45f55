/**
 * Commands of the device's options: SET OPTION and GET OPTION (Yubico, "Set Option"). 0 is off, 1 on, 2 on until the
 * device is reset.
 *
 * Refused on purpose: auditing of SESSION MESSAGE (0x05), which can lock old firmware up for good, and the options for
 * algorithms and FIPS, which work only on a freshly reset device and which this product does not use.
 */
import { HsmError } from '../errors.ts';
import { concat, u16, u8 } from '../wire.ts';
import { type Command, type CommandName, commandNumbers, decodeNothing } from './command.ts';

const forceAuditTag = 1;
const commandAuditTag = 3;
const settings = ['off', 'on', 'fixed'] as const;

/** The value of an option. `fixed` cannot be changed any more without a reset of the device. */
export type Setting = (typeof settings)[number];

/** Says whether the device refuses to work when its log is full. */
export function getForceAudit(): Command<Setting> {
  const decode = (answer: Uint8Array): Setting => {
    if (answer.length !== 1) throw malformed();
    return settingOf(answer[0]!);
  };
  return { name: 'GET OPTION', effect: 'read', data: u8(forceAuditTag), needs: ['get-option'], decode };
}

/** Makes the device refuse to work when its log is full, or not. */
export function setForceAudit(setting: Setting): Command<void> {
  return setOption(forceAuditTag, u8(settings.indexOf(setting)));
}

/** The audit setting of each command, by command number. */
export function getCommandAudit(): Command<Map<number, Setting>> {
  const decode = (answer: Uint8Array): Map<number, Setting> => {
    if (answer.length % 2 !== 0) throw malformed();
    const pairs = Array.from({ length: answer.length / 2 }, (_, i) => [answer[2 * i]!, answer[2 * i + 1]!] as const);
    return new Map(pairs.map(([command, value]) => [command, settingOf(value)]));
  };
  return { name: 'GET OPTION', effect: 'read', data: u8(commandAuditTag), needs: ['get-option'], decode };
}

/** Sets which commands the device writes into its log. */
export function setCommandAudit(commands: readonly CommandName[], setting: Setting): Command<void> {
  const pairs = commands.map((name) => concat(u8(commandNumbers[name]), u8(settings.indexOf(setting))));
  return setOption(commandAuditTag, concat(...pairs));
}

function setOption(tag: number, value: Uint8Array): Command<void> {
  const data = concat(u8(tag), u16(value.length), value);
  return { name: 'SET OPTION', effect: 'change', data, needs: ['set-option'], decode: decodeNothing };
}

function settingOf(value: number): Setting {
  const setting = settings[value];
  if (setting === undefined) throw malformed();
  return setting;
}

function malformed(): HsmError {
  return new HsmError('answer-malformed', 'GET OPTION: malformed');
}
