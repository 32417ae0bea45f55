/**
 * Follows the CA once and stops dead (SIGKILL) before its Nth step; prints how many steps there were when it comes to its end. Started by
 * the tests: host-following-program.ts N STATE SSHD_CONFIG.
 */
import { openClock } from '#agent/clock/clock-record.ts';
import { followAuthority } from '#agent/host/following/follow-authority.ts';
import { requireAuthority } from '#agent/state/authority.ts';

const [last = '0', stateDirectory = '', sshdConfig = ''] = process.argv.slice(2);
let steps = 0;
const onStep = () => {
  steps += 1;
  if (steps === Number(last)) process.kill(process.pid, 'SIGKILL');
};
const authority = await requireAuthority(stateDirectory);
const clock = await openClock(stateDirectory, authority);
const install = { onStep, onActivation: onStep };
const { failure } = await followAuthority({ stateDirectory, sshdConfig }, authority, {
  clock,
  urgent: true,
  onStep,
  install,
});
if (failure !== undefined) throw failure;
console.log(steps);
