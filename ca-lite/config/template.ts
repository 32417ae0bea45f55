/** The commented ca.toml that `init` writes: every key, its meaning and its default, so that the file is its own manual page. */

export interface TemplateValues {
  readonly name: string;
  readonly dnsNames: readonly string[];
  readonly address: string;
  /** Hosts may enrol under these at once; empty leaves enrolment shut until somebody edits the file. */
  readonly enrolNames: readonly string[];
  readonly enrolAddresses: readonly string[];
  readonly userPrincipals: readonly string[];
}

export function formatConfigTemplate(values: TemplateValues): string {
  const list = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`;
  return `# Configuration of the Countersign CA. Durations carry units: 90s, 15m, 16h, 30d.
# Unknown keys are refused. \`countersign-ca check-config\` tells everything that is wrong with this file at once.

name = ${JSON.stringify(values.name)}
# Names and addresses by which clients reach this CA; its TLS certificate carries them.
dns_names = ${list(values.dnsNames)}
# HOST:PORT, [IPV6]:PORT or :PORT
address = ${JSON.stringify(values.address)}

[store]
type = "sqlite"
path = "db/countersign.sqlite"      # relative to this directory

[signer]
type = "file"                       # keys in secrets/, encrypted under the passphrase

[enrolment]
# Nothing may enrol until names and addresses are listed here.
#   "web1.example.com"   this name
#   "*.example.com"      one label in front
#   "**.example.com"     one or more labels in front
names = ${list(values.enrolNames)}
# Addresses that the CA may dial back, as ranges. Loopback, link-local, multicast, metadata services and the CA's own
# addresses are refused whatever stands here; a private address needs a private range.
addresses = ${list(values.enrolAddresses)}
ports = [22]
short_names = false                 # also certify "web1" for "web1.example.com"
address_principals = false          # also certify the addresses that were dialled
challenge_lifetime = "2m"           # at most 5m
token_lifetime = "5m"
own_addresses = []                  # further addresses of this CA that it does not see itself (NAT, load balancer)
insecure_allow_loopback = false     # development only

[certificates]
host_lifetime = "30d"
host_max_lifetime = "90d"
user_lifetime = "16h"
user_max_lifetime = "24h"
backdate = "1m"                     # certificates start this much earlier, for clocks that run behind
key_types = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"]
min_rsa_bits = 3072
# Further principals that \`countersign-ca token\` may give to hosts, beyond the names above; same patterns.
host_principals = []
# Login names that certificates may be issued for; "*" is every one but root and other system accounts, which have to be named.
user_principals = ${list(values.userPrincipals)}

[renewal]
# Expired host certificates renew only by leave (\`countersign-ca grant\`), unless this is true. Revoked ones never do.
allow_after_expiry = false
# max_age = "365d"                  # how long ago a certificate may have expired then
require_dial_back = false           # after expiry only with the host's key proven over the network again
clone_grace = "5m"                  # a predecessor that shows up so soon after its successor came into use is no copy
heal_by_dial_back = false           # end the quarantine of a copied host by itself when a dial-back can tell the two apart
# Certificates of users renew by their key for so long after their token was given out, and so often; left out: never.
# Those who sign in: renew_for and renew_times in [[oidc]].
# users_for = "5d"
users_times = 100                   # of no effect without users_for
require_rekey_proof = false         # a new key must sign too; \`step ssh rekey\` cannot

[dial_back]
timeout = "10s"                     # for one address, all its keys together
concurrent = 64
concurrent_per_requester = 8
concurrent_per_target = 4

[dns]
servers = []                        # empty: the resolver of the system; else ADDRESS or ADDRESS:PORT
timeout = "5s"

[log]
level = "info"                      # debug, info, warn or error
`;
}
