/**
 * The user agent's configuration file, TOML, strict: unknown keys and wrong values fail, all faults reported together.
 *
 * ```toml
 * lifetime = "12h"             # for keys added without one
 * confirm-timeout = "60s"      # an unanswered question is a no
 * max-offered = 5              # identities offered to a host that no rule names
 * upstreams = [{ name = "gnome", socket = "/run/user/1000/keyring/ssh" }]
 * [sign-in]                    # agent/user/session/sign-in-settings.ts
 * when-asked = "ask"
 * [[choose]]
 * host = "*.example.org"       # principal of a host certificate, or SHA256:… of a host key or host CA
 * identities = ["SHA256:…", "work *"]
 * ```
 */
import { parse } from 'smol-toml';
import { Type, type Static } from 'typebox';
import { Errors } from 'typebox/value';
import { AgentFailure } from './agent-failure.ts';
import { parseLifetime } from './lifetime.ts';
import { type SignInSettings, defaultSignInSettings } from './session/sign-in-settings.ts';

const Duration = Type.String({ pattern: '^([0-9]{1,10}[smhdw])+$' });
/** sshd hangs up after 120 s without a login (LoginGraceTime). */
const MAX_WAIT_SECONDS = 100;
const Text = Type.String({ minLength: 1, maxLength: 1024 });

const AgentConfigFile = Type.Object(
  {
    lifetime: Type.Optional(Duration),
    'confirm-timeout': Type.Optional(Duration),
    'max-offered': Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    upstreams: Type.Optional(
      Type.Array(Type.Object({ name: Text, socket: Text }, { additionalProperties: false }), { maxItems: 16 }),
    ),
    'sign-in': Type.Optional(
      Type.Object(
        {
          'when-asked': Type.Optional(Type.Union([Type.Literal('off'), Type.Literal('ask'), Type.Literal('browser')])),
          hosts: Type.Optional(Type.Union([Type.Literal('certified'), Type.Literal('all')])),
          wait: Type.Optional(Duration),
          browser: Type.Optional(Text),
          provisioner: Type.Optional(Text),
          keychain: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('on'), Type.Literal('off')])),
          'state-dir': Type.Optional(Text),
        },
        { additionalProperties: false },
      ),
    ),
    choose: Type.Optional(
      Type.Array(
        Type.Object(
          { host: Text, identities: Type.Array(Text, { minItems: 1, maxItems: 64 }) },
          { additionalProperties: false },
        ),
        { maxItems: 1000 },
      ),
    ),
  },
  { additionalProperties: false },
);
type AgentConfigFile = Static<typeof AgentConfigFile>;

export interface AgentConfig {
  readonly lifetimeSeconds?: number;
  readonly confirmTimeoutSeconds?: number;
  readonly maxOffered?: number;
  readonly upstreams: readonly { readonly name: string; readonly socket: string }[];
  readonly signIn: SignInSettings;
  readonly choose: readonly { readonly host: string; readonly identities: readonly string[] }[];
}

/** @param path for messages @throws AgentFailure `agent-config` with every fault */
export function parseAgentConfig(text: string, path: string): AgentConfig {
  const file = checkedFile(text, path);
  const [lifetimeSeconds, confirmTimeoutSeconds] = [file.lifetime, file['confirm-timeout']].map((duration) =>
    duration === undefined ? undefined : parseLifetime(duration),
  );
  const maxOffered = file['max-offered'];
  return {
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
    ...(confirmTimeoutSeconds === undefined ? {} : { confirmTimeoutSeconds }),
    ...(maxOffered === undefined ? {} : { maxOffered }),
    upstreams: file.upstreams ?? [],
    choose: file.choose ?? [],
    signIn: signInSettings(file['sign-in'] ?? {}, path),
  };
}

function signInSettings(section: NonNullable<AgentConfigFile['sign-in']>, path: string): SignInSettings {
  const { browser, provisioner, wait, 'state-dir': stateDirectory } = section;
  const waitSeconds = wait === undefined ? undefined : parseLifetime(wait);
  if (waitSeconds !== undefined && (waitSeconds < 1 || waitSeconds > MAX_WAIT_SECONDS))
    throw new AgentFailure('agent-config', `${path} has 1 fault(s)`, {
      advice: `/sign-in/wait: 1s to ${MAX_WAIT_SECONDS}s: a server hangs up after 120 s without a login`,
    });
  return {
    whenAsked: section['when-asked'] ?? defaultSignInSettings.whenAsked,
    hosts: section.hosts ?? defaultSignInSettings.hosts,
    waitSeconds: waitSeconds ?? defaultSignInSettings.waitSeconds,
    keychain: section.keychain ?? defaultSignInSettings.keychain,
    ...(browser === undefined ? {} : { browser }),
    ...(provisioner === undefined ? {} : { provisioner }),
    ...(stateDirectory === undefined ? {} : { stateDirectory }),
  };
}

function checkedFile(text: string, path: string): AgentConfigFile {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new AgentFailure('agent-config', `${path} is not TOML`, { advice: (cause as Error).message, cause });
  }
  const faults = Errors(AgentConfigFile, value).map(
    ({ instancePath, message }) => `${instancePath || '/'}: ${message}`,
  );
  if (faults.length === 0) return value as AgentConfigFile;
  throw new AgentFailure('agent-config', `${path} has ${faults.length} fault(s)`, { advice: faults.join('\n') });
}
