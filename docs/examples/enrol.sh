#!/bin/sh
# Enrols a host with nothing of Countersign: curl, ssh-keygen, openssl and sed. It is a complete client of
# docs/enrolment-protocol.md, for reading, for odd systems, and for checking that the protocol is what the page says.
#
#   enrol.sh --ca https://ca.example.internal:8443 --fingerprint HEX --name web1.example.internal --ip 192.0.2.7
#            [--name N]... [--ip A]... [--port 22] [--key /etc/ssh/ssh_host_ed25519_key] [--out KEY-cert.pub]
#
# It needs to read the host's private key, so it runs as root. It writes the certificate and nothing else; the lines for
# sshd_config are printed at the end. Write addresses in their usual short form (2001:db8::7, 192.0.2.7).

set -eu
umask 077
LC_ALL=C
export LC_ALL

die() { echo "enrol.sh: $*" >&2; exit 1; }
usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }

ca='' fingerprint='' names='' addresses='' port=22 key=/etc/ssh/ssh_host_ed25519_key out=''
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --ca) ca=${2%/} ;;
    --fingerprint) fingerprint=$2 ;;
    --name) names="$names $2" ;;
    --ip) addresses="$addresses $2" ;;
    --port) port=$2 ;;
    --key) key=$2 ;;
    --out) out=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ -n "$ca" ] && [ -n "$fingerprint" ] && [ -n "$names" ] && [ -n "$addresses" ] || usage
[ -n "$out" ] || out=$key-cert.pub

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
challenge_words=host-challenge@countersign
proof_words=host-proof@countersign

# One text member of a flat JSON object, and one array of texts as it stands. What the CA sends needs no more.
member() { sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p"; }
array() { sed -n "s/.*\"$1\" *: *\\[\\([^]]*\\)\\].*/\\1/p"; }
# Words as a JSON array without its brackets: "a","b"
quoted() { printf '"%s",' "$@" | sed 's/,$//'; }
# Base64 as one line.
base64_line() { openssl base64 -A; }

# Every request after the first trusts the pinned root alone.
ask() {
  status=$(curl --silent --show-error --proto '=https' --cacert "$work/root.crt" --max-time 60 \
    --output "$work/reply" --write-out '%{http_code}' "$@") || die "the CA cannot be asked"
  case $status in
    2??) ;;
    *) die "the CA refused ($status, $(member code < "$work/reply")): $(member message < "$work/reply")" ;;
  esac
}

# 1. The root certificate, fetched without trusting anybody and compared with the fingerprint that a person brought.
curl --silent --show-error --proto '=https' --insecure --max-time 30 --output "$work/root.json" \
  "$ca/root/$fingerprint" || die "the CA cannot be reached"
printf '%b' "$(member ca < "$work/root.json")" > "$work/root.pem"
openssl x509 -in "$work/root.pem" -out "$work/root.crt" 2> /dev/null || die "the CA has no root with this fingerprint"
found=$(openssl x509 -in "$work/root.crt" -outform DER | openssl dgst -sha256 -r | sed 's/ .*//')
[ "$found" = "$fingerprint" ] || die "the root certificate has another fingerprint: $found"

# 2. The host CA keys, as lines that ssh-keygen trusts for one namespace.
ask "$ca/ssh/roots"
array hostKey < "$work/reply" | sed 's/"//g; s/,/ /g' > "$work/host-keys"
trusted=
for blob in $(cat "$work/host-keys"); do
  case $blob in # the key type is the beginning of the blob
    AAAAC3NzaC1lZDI1NTE5*) type=ssh-ed25519 ;;
    AAAAE2VjZHNhLXNoYTItbmlzdHAyNT*) type=ecdsa-sha2-nistp256 ;;
    AAAAE2VjZHNhLXNoYTItbmlzdHAzOD*) type=ecdsa-sha2-nistp384 ;;
    AAAAE2VjZHNhLXNoYTItbmlzdHA1Mj*) type=ecdsa-sha2-nistp521 ;;
    AAAAB3NzaC1yc2*) type=ssh-rsa ;;
    *) continue ;;
  esac
  echo "$challenge_words cert-authority,namespaces=\"$challenge_words\" $type $blob" >> "$work/allowed_signers"
  echo "$type $blob" > "$work/ca.pub"
  trusted="$trusted $(ssh-keygen -l -f "$work/ca.pub" | sed 's/^[0-9]* \([^ ]*\) .*/\1/')"
done
[ -n "$trusted" ] || die "the CA has no host CA key that can be used"

# 3. The challenge. The CA resolves the names, connects to the addresses and looks for this key before it answers.
[ -r "$key" ] || die "$key cannot be read"
ssh-keygen -y -f "$key" | sed 's/^\([^ ]* [^ ]*\).*/\1/' > "$work/key.pub"
key_fingerprint=$(ssh-keygen -l -f "$work/key.pub" | sed 's/^[0-9]* \([^ ]*\) .*/\1/')
set --
for name in $names; do set -- "$@" --data-urlencode "name=$name"; done
for address in $addresses; do set -- "$@" --data-urlencode "ip=$address"; done
ask --get "$@" --data-urlencode "fingerprint=$key_fingerprint" --data-urlencode "port=$port" "$ca/host/challenge"
payload=$(member payload < "$work/reply")
signature=$(member signature < "$work/reply")

# 4. Is it from the CA, and is it what was asked for? The host key signs nothing else.
printf '%s' "$payload" | openssl base64 -d -A > "$work/payload"
{
  echo '-----BEGIN SSH SIGNATURE-----'
  printf '%s' "$signature" | openssl base64 -d -A | openssl base64
  echo '-----END SSH SIGNATURE-----'
} > "$work/payload.sig"
ssh-keygen -Y verify -f "$work/allowed_signers" -I "$challenge_words" -n "$challenge_words" \
  -s "$work/payload.sig" < "$work/payload" > /dev/null || die "the challenge is not signed by the host CA"
[ "$(member type < "$work/payload")" = countersign-host-challenge-v1 ] || die "this is no challenge"
# shellcheck disable=SC2086 # the lists are made of words without white space
[ "$(array names < "$work/payload")" = "$(quoted $names)" ] || die "the challenge is for other names"
# shellcheck disable=SC2086
[ "$(array addresses < "$work/payload")" = "$(quoted $addresses)" ] || die "the challenge is for other addresses"
[ "$(member fingerprint < "$work/payload")" = "$key_fingerprint" ] || die "the challenge is for another key"
[ "$(sed -n 's/.*"port" *: *\([0-9]*\).*/\1/p' "$work/payload")" = "$port" ] || die "the challenge is for another port"
expires=$(sed -n 's/.*"expiresAt" *: *\([0-9]*\).*/\1/p' "$work/payload")
[ "$expires" -gt "$(date +%s)" ] || die "the challenge has expired; is the clock right?"

# 5. The proof: a signature of the host key over payload and CA signature.
printf '%s.%s' "$payload" "$signature" > "$work/message"
ssh-keygen -Y sign -q -f "$key" -n "$proof_words" "$work/message" || die "the host key cannot sign"
proof=$(sed '/^-----/d' "$work/message.sig" | openssl base64 -d | base64_line)
printf '{"payload":"%s","signature":"%s","proof":"%s"}' "$payload" "$signature" "$proof" > "$work/body"
ask --header 'content-type: application/json' --data-binary "@$work/body" "$ca/host/token"
token=$(member token < "$work/reply")
principals=$(array principals < "$work/reply")

# 6. The certificate.
blob=$(sed 's/^[^ ]* //' "$work/key.pub")
printf '{"publicKey":"%s","ott":"%s","certType":"host","keyID":"","principals":[%s],"validAfter":"","validBefore":""}' \
  "$blob" "$token" "$principals" > "$work/body"
ask --header 'content-type: application/json' --data-binary "@$work/body" "$ca/ssh/sign"
key_type=$(sed 's/ .*//' "$work/key.pub")
echo "$key_type-cert-v01@openssh.com $(member crt < "$work/reply")" > "$work/cert.pub"

# 7. Is it ours? ssh-keygen verifies the CA's signature while it reads.
ssh-keygen -L -f "$work/cert.pub" > "$work/cert.txt" || die "the CA sent no valid certificate"
case $(sed -n 's/^ *Type: //p' "$work/cert.txt") in
  *' host certificate') ;;
  *) die "it is no host certificate" ;;
esac
case $(sed -n 's/^ *Public key: //p' "$work/cert.txt") in
  *" $key_fingerprint") ;;
  *) die "the certificate is for another key" ;;
esac
signer=$(sed -n 's/^ *Signing CA: [^ ]* \([^ ]*\).*/\1/p' "$work/cert.txt")
case "$trusted " in
  *" $signer "*) ;;
  *) die "the certificate is signed by a key that is no host CA of this CA" ;;
esac

# 8. In place at once, or not at all.
cat "$work/cert.pub" > "$out.new"
chmod 644 "$out.new"
mv "$out.new" "$out"
cat "$work/cert.txt"
echo
echo "Written to $out. Add this line to sshd_config, check it with sshd -t, and reload sshd:"
echo "  HostCertificate $out"
