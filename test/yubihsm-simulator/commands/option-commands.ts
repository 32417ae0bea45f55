/** SET OPTION, GET OPTION, GET LOG ENTRIES, SET LOG INDEX. */
import { commandNumber, Refusal } from '../numbers.ts';
import { demand } from '../rules.ts';
import { type Handler, nothing } from './handler.ts';

const forceAudit = 1;
const commandAudit = 3;
const fixed = 2;

const setOption: Handler = (context, data) => {
  const tag = data.uint8();
  const value = Buffer.from(data.take(data.uint16()));
  data.done();
  demand(context, 'setOption');
  const { log } = context.memory;
  if (tag === forceAudit) {
    if (value.length !== 1 || value[0]! > fixed) throw new Refusal('invalidData');
    if (log.forceAudit === fixed) throw new Refusal('invalidData');
    log.forceAudit = value[0]!;
  } else if (tag === commandAudit) {
    setCommandAudit(log.commandAudit, value);
  } else {
    throw new Refusal('invalidData');
  }
  context.memory.save();
  return nothing;
};

function setCommandAudit(settings: Map<number, number>, pairs: Buffer): void {
  if (pairs.length % 2 !== 0) throw new Refusal('invalidData');
  for (let at = 0; at < pairs.length; at += 2) {
    const [command, value] = [pairs[at]!, pairs[at + 1]!];
    if (value > fixed || !settings.has(command) || settings.get(command) === fixed) throw new Refusal('invalidData');
    settings.set(command, value);
  }
}

const getOption: Handler = (context, data) => {
  const tag = data.uint8();
  data.done();
  demand(context, 'getOption');
  const { log } = context.memory;
  if (tag === forceAudit) return Buffer.of(log.forceAudit);
  if (tag === commandAudit) return Buffer.from([...log.commandAudit].flat());
  throw new Refusal('invalidData');
};

const getLogEntries: Handler = (context) => {
  demand(context, 'getLogEntries');
  return context.memory.log.page();
};

const setLogIndex: Handler = (context, data) => {
  const number = data.uint16();
  data.done();
  demand(context, 'getLogEntries');
  context.memory.log.freeUpTo(number);
  context.memory.save();
  return nothing;
};

export const optionCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.setOption, setOption],
  [commandNumber.getOption, getOption],
  [commandNumber.getLogEntries, getLogEntries],
  [commandNumber.setLogIndex, setLogIndex],
];
