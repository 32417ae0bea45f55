/** Checks of names: does DNS give exactly the addresses of this machine for the names that are or would be enrolled? */
import type { HostContext } from '../host-context.ts';
import type { HostRecord } from '../host-record.ts';
import { type NameFacts } from '../identity-choice.ts';
import { factsOf, findIdentity, localAddresses } from '../machine-identity.ts';
import { findingOf } from './failure-finding.ts';
import { type Finding, ok, warn } from './finding.ts';

export async function checkNames(context: HostContext, record: HostRecord | undefined): Promise<Finding[]> {
  if (record === undefined) return [await checkOwnName(context)];
  const names = [...new Set(record.keys.flatMap((key) => key.names))];
  const enrolled = new Set(record.keys.flatMap((key) => key.addresses));
  const facts = await factsOf(names);
  const local = new Set(localAddresses(context.settings));
  return facts.map((fact) => nameFinding(fact, enrolled, local));
}

async function checkOwnName({ settings }: HostContext): Promise<Finding> {
  try {
    const { names, addresses } = await findIdentity({}, settings);
    return ok('names', `${names.join(', ')} stands for ${addresses.join(', ')}`);
  } catch (error) {
    return { ...findingOf('names', error, 'Give --name and --ip when you enrol.'), level: 'warn' };
  }
}

/** Compared with what the host was enrolled with; local addresses tell moved machines from moved names. */
export function nameFinding(
  { name, resolved }: NameFacts,
  enrolled: ReadonlySet<string>,
  local: ReadonlySet<string>,
): Finding {
  if (resolved.length === 0) {
    return warn(
      'names',
      `${name} does not resolve from here`,
      'Clients and the CA need it in DNS, if not this machine.',
    );
  }
  const found = new Set(resolved);
  if (found.size === enrolled.size && found.isSubsetOf(enrolled))
    return ok('names', `${name} resolves as it was enrolled`);
  const words = `${name} resolves to ${resolved.join(', ')}, and was enrolled for ${[...enrolled].join(', ')}`;
  const advice = found.isSubsetOf(local)
    ? 'The machine has these addresses: an enrolment or renewal at the CA will ask for them.'
    : 'DNS has addresses that are not of this machine: correct it, or clients reach another host under the name.';
  return warn('names', words, advice);
}
