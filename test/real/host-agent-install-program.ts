/**
 * Enrols a host, or removes the enrolment, and stops dead (SIGKILL) before its Nth step; prints how many steps there were when it
 * comes to its end. Started by the tests: host-agent-install-program.ts enroll|remove N STATE SSHD_CONFIG.
 */
import { mkdir } from 'node:fs/promises';
import { openCaClient } from '#agent/ca/ca-client.ts';
import { installCertificates, obtainCertificate, planEnrolment } from '#agent/host/enrol-host.ts';
import { openHost } from '#agent/host/host-context.ts';
import { hostDirectory } from '#agent/host/host-record.ts';
import { removeFromHost } from '#agent/host/remove-host.ts';
import { requireAuthority } from '#agent/state/authority.ts';

const [command = '', last = '0', stateDirectory = '', sshdConfig = ''] = process.argv.slice(2);
let steps = 0;
const onStep = () => {
  steps += 1;
  if (steps === Number(last)) process.kill(process.pid, 'SIGKILL');
};
const hooks = { onStep, onActivation: onStep };
const places = { stateDirectory, sshdConfig };

await mkdir(hostDirectory(stateDirectory), { recursive: true });
if (command === 'enroll') await enroll();
else await removeFromHost(places, { ...hooks, force: false });
console.log(steps);

async function enroll(): Promise<void> {
  const authority = await requireAuthority(stateDirectory);
  const context = await openHost(places);
  const asked = { names: ['localhost'], addresses: ['127.0.0.1'] };
  const plan = await planEnrolment(context, authority, { ...asked, allKeys: true, trustUsers: true, replace: false });
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate });
  const enrolled = [];
  for (const key of plan.keys) enrolled.push(await obtainCertificate(context, authority, plan, key, client));
  await installCertificates(context, authority, plan, enrolled, hooks);
}
