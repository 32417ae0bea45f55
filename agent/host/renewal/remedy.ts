/** What ends a refusal that time does not end: the commands of an administrator of the CA, and of this host. Pure. */

export interface Refused {
  /** The stable code (protocol/api-error.ts). */
  readonly code: string;
  /** Of the certificate that this host has. */
  readonly serial: bigint;
  /** The first name of this host. */
  readonly name: string;
}

const again = 'It is tried again by itself; `countersign host renew --force` does not wait.';
const enrol = 'Then on this host: `countersign host enroll`';
const clear = ({ name }: Refused) => `On the CA: \`countersign-ca hosts clear ${name}\``;

/** One sentence or command on each line. */
const remedies: Readonly<Record<string, (refused: Refused) => readonly string[]>> = {
  'renewal-expired': ({ serial }) => [
    "The certificate expired, and the CA wants a person's leave.",
    `On the CA: \`countersign-ca grant --serial ${serial} --for 24h\``,
    again,
  ],
  'lineage-quarantined': ({ serial }) => [
    'Two machines have the key of this host: a copied disk, or a restored backup.',
    'On the CA: `countersign-ca lineages --quarantined` names the lineage, and `countersign-ca lineage LINEAGE` shows both.',
    `If this machine (serial ${serial}) is the right one: \`countersign-ca lineage resolve LINEAGE --keep ${serial}\``,
    again,
  ],
  'renewal-revoked': (refused) => [
    'Nothing revives it. If this host is to come back, make its key anew (ssh-keygen).',
    clear(refused),
    enrol,
  ],
  'key-revoked': (refused) => ['Nothing revives it. Make the host key anew (ssh-keygen).', clear(refused), enrol],
  'enrolment-cleared': () => ['An administrator cleared this host.', 'On this host: `countersign host enroll`'],
  'certificate-unknown': (refused) => [
    'The CA does not know the certificate, for example after it was restored.',
    clear(refused),
    enrol,
  ],
  'renewal-no-principals': () => [
    'The policy of the CA allows this host no name any more: its administrator looks at enrolment.names.',
  ],
};

/** Undefined where the failure itself says all that is known. */
export function remedyFor(refused: Refused): string | undefined {
  return Object.hasOwn(remedies, refused.code) ? remedies[refused.code]?.(refused).join('\n') : undefined;
}
