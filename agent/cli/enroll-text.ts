/** What an enrolment is about to ask for and to change, in words and as JSON. Pure. */
import type { EnrolmentPlan } from '../host/enrol-host.ts';
import { describeReload } from '../host/reload.ts';
import type { Authority } from '../state/authority.ts';

export function formatPlan(plan: EnrolmentPlan, authority: Authority): string {
  const { identity, port, keys, site, reload, remarks } = plan;
  const lines = [
    `Asking ${authority.url} for a host certificate`,
    `  names      ${identity.names.join(', ')}`,
    `  addresses  ${identity.addresses.join(', ')}, port ${port}`,
    ...keys.map(
      ({ fingerprint, path, holder }) =>
        `  key        ${fingerprint} ${path}${holder === 'agent' ? ' (held by the HostKeyAgent)' : ''}`,
    ),
    `  files      ${site.targets.join(', ')}`,
    `  reload     ${describeReload(reload)}`,
    ...remarks.map((remark) => `  note       ${remark}`),
  ];
  return `${lines.join('\n')}\n`;
}

export function planAsJson(plan: EnrolmentPlan, authority: Authority): unknown {
  const { identity, port, keys, site, reload, remarks } = plan;
  return {
    ca: authority.url,
    names: identity.names,
    addresses: identity.addresses,
    port,
    keys: keys.map(({ path, fingerprint, publicKey, holder }) => ({ path, fingerprint, type: publicKey.type, holder })),
    files: site.targets,
    reload: describeReload(reload),
    remarks,
  };
}
