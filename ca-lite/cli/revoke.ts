/** `countersign-ca revoke`: takes certificates or a key out of use for good (docs/revocation.md). */
import { CommandError } from '../command-error.ts';
import type { RevocationTarget } from '../store/revocation-decisions.ts';
import { MAX_REASON_LENGTH } from '../store/revocation-decisions.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { readKeyFingerprint } from './key-option.ts';
import { printJson } from './output.ts';

export interface RevokeOptions {
  readonly dir: string;
  readonly serial?: bigint;
  readonly key?: string;
  readonly host?: string;
  readonly user?: string;
  readonly reason: string;
  readonly json?: boolean;
}

export async function revoke(options: RevokeOptions): Promise<void> {
  const target = await targetOf(options);
  const reason = options.reason.trim();
  if (reason.length > MAX_REASON_LENGTH || /\p{C}/u.test(reason))
    throw new CommandError(`--reason is plain text of at most ${MAX_REASON_LENGTH} characters.`);
  await using store = await openAdministrator(options.dir);
  const now = nowInSeconds();
  const revokedBy = administrator();
  const audit = {
    time: now,
    action: 'revoke',
    subject: subjectOf(target, revokedBy),
    details: { kind: target.kind, reason },
  };
  const decision = await store.revoke({ target, reason, now, revokedBy, token: null, audit });
  if (!decision.accepted) throw refused(decision.refusal, target, options.dir);
  const { krlNumber, certificates } = decision;
  if (options.json === true) return printJson({ krlNumber, certificates, target });
  process.stdout.write(
    `Revoked: ${describe(target)}${target.kind === 'key' ? '' : ` (${certificates} ${certificates === 1 ? 'certificate' : 'certificates'})`}. ` +
      `It is in KRL ${krlNumber}, which agents pull, and nothing renews it any more.\n`,
  );
}

async function targetOf({ serial, key, host, user }: RevokeOptions): Promise<RevocationTarget> {
  if ([serial, key, host, user].filter((given) => given !== undefined).length !== 1)
    throw new CommandError(
      'Say what to revoke, in one way: --serial N, --key FILE|FINGERPRINT, --host NAME or --user ID.',
    );
  if (serial !== undefined) return { kind: 'serial', serial };
  if (host !== undefined) return { kind: 'host', name: host };
  if (user !== undefined) return { kind: 'user', keyId: user };
  return { kind: 'key', keyFingerprint: await readKeyFingerprint(key ?? '') };
}

function subjectOf(target: RevocationTarget, actor: string) {
  switch (target.kind) {
    case 'serial':
      return { serial: target.serial, actor };
    case 'key':
      return { keyFingerprint: target.keyFingerprint, actor };
    case 'host':
      return { type: 'host', name: target.name, actor } as const;
    case 'user':
      return { type: 'user', name: target.keyId, actor } as const;
  }
}

function describe(target: RevocationTarget): string {
  switch (target.kind) {
    case 'serial':
      return `serial ${target.serial}`;
    case 'key':
      return `the key ${target.keyFingerprint}`;
    case 'host':
      return `host ${target.name}`;
    case 'user':
      return `user ${target.keyId}`;
  }
}

function refused(refusal: string, target: RevocationTarget, dir: string): CommandError {
  return refusal === 'already-revoked'
    ? new CommandError(`Nothing is left to revoke of ${describe(target)}: it is revoked, or has expired, already.`)
    : new CommandError(
        `This CA issued nothing to ${describe(target)}. List what there is with: countersign-ca certs --dir ${dir}`,
      );
}
