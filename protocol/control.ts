/**
 * The control API of the user agent: HTTP with JSON over a second Unix socket (a named pipe on Windows), reachable only
 * by the user who runs the agent. `GET /v1/state` is a snapshot; `GET /v1/events` an endless stream of snapshots
 * (server-sent events), the first at once, so that a client that was away misses nothing that still matters.
 * Texts that come from keys, hosts or programs are already cleaned of control characters.
 */
import { Type, type Static } from 'typebox';
import { FingerprintText } from './wire-text.ts';

/** Milliseconds since 1970-01-01 UTC. */
const EpochMs = Type.Number();
const Label = Type.String({ maxLength: 1024 });

/** Where a key may be used, or is asked to be used. */
export const ControlIdentity = Type.Object({
  /** Fingerprint of the key, also for a certificate. */
  fingerprint: FingerprintText,
  /** As `ssh-keygen -l` writes it, e.g. `ED25519`. */
  kind: Label,
  comment: Label,
  confirm: Type.Boolean(),
  /** Host names of destination constraints, e.g. `a > user@b`; empty: everywhere. */
  destinations: Type.Array(Label),
  /** When the agent will drop it: the end of its lifetime or certificate, whichever is first. */
  endsAt: Type.Optional(EpochMs),
  certificate: Type.Optional(
    Type.Object({
      type: Type.Union([Type.Literal('user'), Type.Literal('host')]),
      keyId: Label,
      /** Decimal: it may exceed what JSON numbers hold. */
      serial: Type.String({ pattern: '^[0-9]{1,20}$' }),
      principals: Type.Array(Label),
      validAfter: EpochMs,
      /** Absent for a certificate without end. */
      validBefore: Type.Optional(EpochMs),
      caFingerprint: FingerprintText,
    }),
  ),
});
export type ControlIdentity = Static<typeof ControlIdentity>;

/** A use of a key that waits for the user's consent. */
export const ControlQuestion = Type.Object({
  id: Type.String({ pattern: '^[A-Za-z0-9_-]{8,64}$' }),
  askedAt: EpochMs,
  /** Denied when nobody has answered by then. */
  deadline: EpochMs,
  key: Type.Object({ fingerprint: FingerprintText, kind: Label, comment: Label }),
  /** `login`: to a host; `file`: an SSHSIG such as a git commit; `unknown`: bytes of no known form. */
  purpose: Type.Union([Type.Literal('login'), Type.Literal('file'), Type.Literal('unknown')]),
  /** Of a login: the user on the host. */
  user: Type.Optional(Label),
  /** Of a file signature. */
  namespace: Type.Optional(Label),
  /** The host that the connection is bound to. Present only when its key exchange signature was verified. */
  host: Type.Optional(Type.Object({ fingerprint: FingerprintText, names: Type.Array(Label) })),
  /** The request came through agent forwarding: from another machine. */
  forwarded: Type.Boolean(),
  /** The program on this machine that asks, as far as the platform tells. */
  program: Type.Optional(Type.Object({ pid: Type.Integer(), name: Label })),
});
export type ControlQuestion = Static<typeof ControlQuestion>;

export const ControlUpstream = Type.Object({
  name: Label,
  socket: Label,
  /** Of the last attempt; `unused` before the first. */
  health: Type.Union([Type.Literal('unused'), Type.Literal('ok'), Type.Literal('failing')]),
});
export type ControlUpstream = Static<typeof ControlUpstream>;

/** Why something did not work, as the commands tell it: a stable code, one sentence, what to do. */
export const ControlFailure = Type.Object({
  code: Type.String({ pattern: '^[a-z0-9-]{1,64}$' }),
  message: Type.String({ maxLength: 4096 }),
  advice: Type.Optional(Type.String({ maxLength: 4096 })),
});
export type ControlFailure = Static<typeof ControlFailure>;

const SignInId = Type.String({ pattern: '^[A-Za-z0-9_-]{8,64}$' });

/** A sign-in that lasts: its key is in the agent, its certificate is renewed without the person for as long as the provider and the CA allow. */
export const ControlSession = Type.Object({
  id: SignInId,
  /** Origin of the CA. */
  ca: Label,
  provisioner: Label,
  signedInAt: EpochMs,
  /** Absent until there is one, e.g. right after a restart. */
  certificate: Type.Optional(
    Type.Object({
      keyId: Label,
      serial: Type.String({ pattern: '^[0-9]{1,20}$' }),
      principals: Type.Array(Label, { maxItems: 256 }),
      fingerprint: FingerprintText,
      validAfter: EpochMs,
      expiresAt: EpochMs,
    }),
  ),
  renewal: Type.Object({
    /** `none`: only a sign-in brings the next certificate. */
    way: Type.Union([Type.Literal('refresh-token'), Type.Literal('proof-of-possession'), Type.Literal('none')]),
    plannedAt: Type.Optional(EpochMs),
    /** Of the last attempt; absent after one that worked. */
    failure: Type.Optional(ControlFailure),
    failedAt: Type.Optional(EpochMs),
  }),
  /** Where the refresh token is: in the keychain of the system, in the memory of the agent alone, or there is none. */
  refreshToken: Type.Union([Type.Literal('keychain'), Type.Literal('memory'), Type.Literal('none')]),
});
export type ControlSession = Static<typeof ControlSession>;

/** A sign-in under way, or one that has just ended. */
export const ControlSignIn = Type.Object({
  id: SignInId,
  startedAt: EpochMs,
  /** It ends by itself then. */
  deadline: EpochMs,
  /** `ssh`: a login found no certificate. */
  startedBy: Type.Union([Type.Literal('request'), Type.Literal('ssh')]),
  provisioner: Type.Optional(Label),
  /** `starting`: nothing to show yet; `waiting`: for the person, at `url`; `done` and `failed` stay for a minute. */
  phase: Type.Union([Type.Literal('starting'), Type.Literal('waiting'), Type.Literal('done'), Type.Literal('failed')]),
  flow: Type.Optional(Type.Union([Type.Literal('browser'), Type.Literal('device')])),
  /** https. */
  url: Type.Optional(Type.String({ pattern: '^https://[!-~]+$', maxLength: 16_384 })),
  /** Of the flow `device`: what to type there. */
  code: Type.Optional(Label),
  /** Of the flow `device`: where the code is filled in already. */
  completeUrl: Type.Optional(Type.String({ pattern: '^https://[!-~]+$', maxLength: 16_384 })),
  /** Of `done`. */
  session: Type.Optional(SignInId),
  /** Of `failed`. */
  failure: Type.Optional(ControlFailure),
});
export type ControlSignIn = Static<typeof ControlSignIn>;

/** A sign-in that is needed and has not begun: a question that waits until it is done, or until `sign-out`. */
export const ControlSignInNeed = Type.Object({
  since: EpochMs,
  /** `asked`: ssh wanted a certificate; `ending`, `ended`: the certificate of a session, which cannot be renewed without the person. */
  reason: Type.Union([Type.Literal('asked'), Type.Literal('ending'), Type.Literal('ended')]),
  ca: Type.Optional(Label),
  provisioner: Type.Optional(Label),
  failure: Type.Optional(ControlFailure),
});
export type ControlSignInNeed = Static<typeof ControlSignInNeed>;

export const ControlSignInState = Type.Object({
  /** What happens when ssh finds no certificate: the setting `when-asked`. */
  whenAsked: Type.Union([Type.Literal('off'), Type.Literal('ask'), Type.Literal('browser')]),
  /** `unused`: no refresh token was kept yet. */
  keychain: Type.Object({
    kind: Type.Union([Type.Literal('system'), Type.Literal('memory'), Type.Literal('unused')]),
    /** Of `memory`: why no keychain is used. */
    reason: Type.Optional(Label),
  }),
  sessions: Type.Array(ControlSession, { maxItems: 16 }),
  signIns: Type.Array(ControlSignIn, { maxItems: 16 }),
  needed: Type.Array(ControlSignInNeed, { maxItems: 16 }),
});
export type ControlSignInState = Static<typeof ControlSignInState>;

/** What the agent does for `countersign ssh-config`. */
export const ControlSshConfig = Type.Object({
  /** When the CA was last asked; absent: not yet. */
  refreshedAt: Type.Optional(EpochMs),
  /** When a file last changed for it. */
  changedAt: Type.Optional(EpochMs),
  /** Why something stays as it was. */
  remarks: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 8 }),
  /** Of the last attempt; absent after one that worked. */
  failure: Type.Optional(ControlFailure),
});
export type ControlSshConfig = Static<typeof ControlSshConfig>;

export const ControlState = Type.Object({
  version: Type.String(),
  pid: Type.Integer(),
  socket: Label,
  startedAt: EpochMs,
  locked: Type.Boolean(),
  identities: Type.Array(ControlIdentity),
  questions: Type.Array(ControlQuestion),
  upstreams: Type.Array(ControlUpstream),
  signIn: ControlSignInState,
  /** Absent while nothing is installed for this agent. */
  sshConfig: Type.Optional(ControlSshConfig),
  /** What the platform protects: an honest list for `status`. */
  protection: Type.Object({
    peerUserChecked: Type.Boolean(),
    coreDumpsOff: Type.Boolean(),
    memoryHidden: Type.Boolean(),
  }),
});
export type ControlState = Static<typeof ControlState>;

/** `POST /v1/questions/:id/answer` */
export const ControlAnswer = Type.Object({ allow: Type.Boolean() }, { additionalProperties: false });
export type ControlAnswer = Static<typeof ControlAnswer>;

export const ControlAnswerReply = Type.Object({
  outcome: Type.Union([Type.Literal('allowed'), Type.Literal('denied')]),
});

const AbsolutePath = Type.String({ minLength: 1, maxLength: 4096 });

/** `POST /v1/sign-in`: starts one, or joins the one that is the same. */
export const ControlSignInRequest = Type.Object(
  {
    /** Needed when the CA has several. */
    provisioner: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    /** `device-if-offered`: with a code if the CA takes that, as where no browser can be shown. */
    flow: Type.Union([Type.Literal('browser'), Type.Literal('device'), Type.Literal('device-if-offered')]),
    /** The agent opens the browser; without it whoever asks shows `url`. */
    openBrowser: Type.Optional(Type.Boolean()),
    timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 99_999 })),
    /** Where the trusted CA is recorded; default: where `countersign bootstrap` of this user puts it. */
    stateDirectory: Type.Optional(AbsolutePath),
    /** A file with PEM certificates to trust at the provider too. */
    providerCa: Type.Optional(AbsolutePath),
  },
  { additionalProperties: false },
);
export type ControlSignInRequest = Static<typeof ControlSignInRequest>;

/** Follow it in `signIn.signIns` of the state. */
export const ControlSignInReply = Type.Object({ id: SignInId });

/** `POST /v1/sign-in/:id/cancel`; `sign-in-gone` when it is over. */
export const ControlCancelReply = Type.Object({ cancelled: Type.Literal(true) });

/** `POST /v1/sign-out` and `POST /v1/renew`: one session, or all. */
export const ControlSessionRequest = Type.Object(
  { session: Type.Optional(SignInId), provisioner: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })) },
  { additionalProperties: false },
);
export type ControlSessionRequest = Static<typeof ControlSessionRequest>;

/** What became of each session at the identity provider; here it is gone in any case. */
export const ControlSignOutReply = Type.Object({
  sessions: Type.Array(
    Type.Object({
      id: SignInId,
      provisioner: Label,
      /** `not-offered`: the provider has no revocation endpoint; `no-token`: there was none to revoke. */
      atProvider: Type.Union([
        Type.Literal('revoked'),
        Type.Literal('not-offered'),
        Type.Literal('no-token'),
        Type.Literal('failed'),
      ]),
      failure: Type.Optional(ControlFailure),
    }),
    { maxItems: 16 },
  ),
});
export type ControlSignOutReply = Static<typeof ControlSignOutReply>;

export const ControlRenewReply = Type.Object({
  sessions: Type.Array(Type.Object({ id: SignInId, renewed: Type.Boolean(), failure: Type.Optional(ControlFailure) }), {
    maxItems: 16,
  }),
});
export type ControlRenewReply = Static<typeof ControlRenewReply>;

/** The only error shape of the control API. */
export const ControlError = Type.Object({
  code: Type.Union([
    Type.Literal('bad-request'),
    Type.Literal('not-found'),
    Type.Literal('question-gone'),
    Type.Literal('sign-in-gone'),
    Type.Literal('no-session'),
    Type.Literal('internal-error'),
  ]),
  message: Type.String(),
});
export type ControlError = Static<typeof ControlError>;
