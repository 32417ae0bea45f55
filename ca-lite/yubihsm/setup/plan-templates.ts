/** The templates of a plan. Pure. */
import { encodeSshTemplate } from '../ssh-template.ts';
import { objectIds, type TemplatePlan } from './plan.ts';

/** A template, ready to be stored. */
export interface NamedTemplate {
  name: 'userTemplate' | 'hostTemplate';
  bytes: Uint8Array;
}

/** Both templates; `timestampModulus` is that of the timestamp key, 256 bytes. */
export function templatesOf(plan: TemplatePlan, timestampModulus: Uint8Array): NamedTemplate[] {
  const { notBeforeOffsetSeconds } = plan;
  const common = { timestampModulus, notBeforeOffsetSeconds };
  const user = {
    ...common,
    caKeyIds: [objectIds.userCa],
    notAfterOffsetSeconds: plan.userNotAfterSeconds,
    forbiddenPrincipals: plan.forbiddenUserPrincipals,
  };
  const host = {
    ...common,
    caKeyIds: [objectIds.hostCa],
    notAfterOffsetSeconds: plan.hostNotAfterSeconds,
    forbiddenPrincipals: [],
  };
  return [
    { name: 'userTemplate', bytes: encodeSshTemplate(user) },
    { name: 'hostTemplate', bytes: encodeSshTemplate(host) },
  ];
}
