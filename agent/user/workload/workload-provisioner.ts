/** The provisioner of the CA that a workload's token is for: one that takes tokens without a nonce (`nonceBinding` `none`). Pure. */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { OidcClientSettings } from '#protocol/identity-binding.ts';
import { printable } from '../../ca/foreign-text.ts';
import { WorkloadError } from './workload-error.ts';

const Text = Type.String({ minLength: 1, maxLength: 1024 });
const WorkloadProvisioner = Type.Object({
  type: Type.Literal('OIDC'),
  name: Text,
  clientID: Text,
  countersign: Type.Intersect([OidcClientSettings, Type.Object({ nonceBinding: Type.Literal('none') })]),
});

export interface WorkloadProvisioner {
  readonly name: string;
  /** What the `aud` of a token has to be. */
  readonly audience: string;
}

/** @param listed `provisioners` of the CA's reply @param wanted its name; needed when there are several @throws WorkloadError */
export function chooseWorkloadProvisioner(listed: readonly unknown[], wanted: string | undefined): WorkloadProvisioner {
  const all = listed.flatMap((each) => (Value.Check(WorkloadProvisioner, each) ? [each] : []));
  const [only, ...others] = all.filter(({ name }) => wanted === undefined || name === wanted);
  const names = all.map(({ name }) => printable(name, 64)).join(', ');
  if (only === undefined) {
    throw new WorkloadError('no-workload-provisioner', 'the CA takes no tokens of workloads, or none by that name', {
      advice:
        all.length > 0
          ? `It has: ${names}.`
          : 'Its administrator adds an [[oidc]] section with nonce_binding = "none" to ca.toml (docs/oidc.md).',
    });
  }
  if (others.length === 0) return { name: only.name, audience: only.clientID };
  throw new WorkloadError('workload-provisioner-ambiguous', 'the CA takes tokens of workloads in several ways', {
    advice: `Name one of them with --provisioner: ${names}.`,
  });
}
