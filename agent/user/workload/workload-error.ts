/** Failures of the sign-in of a workload, before the CA is asked. */
import { Failure } from '../../failure.ts';

export type WorkloadErrorCode =
  | 'workload-token-unavailable' // no token comes from where it was said to be
  | 'workload-token-malformed' // what came is no token
  | 'no-workload-provisioner' // the CA takes no workloads, or not by that name
  | 'workload-provisioner-ambiguous';

export class WorkloadError extends Failure<WorkloadErrorCode> {
  override readonly name = 'WorkloadError';
}
