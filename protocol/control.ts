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

export const ControlState = Type.Object({
  version: Type.String(),
  pid: Type.Integer(),
  socket: Label,
  startedAt: EpochMs,
  locked: Type.Boolean(),
  identities: Type.Array(ControlIdentity),
  questions: Type.Array(ControlQuestion),
  upstreams: Type.Array(ControlUpstream),
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

/** The only error shape of the control API. */
export const ControlError = Type.Object({
  code: Type.Union([
    Type.Literal('bad-request'),
    Type.Literal('not-found'),
    Type.Literal('question-gone'),
    Type.Literal('internal-error'),
  ]),
  message: Type.String(),
});
export type ControlError = Static<typeof ControlError>;
