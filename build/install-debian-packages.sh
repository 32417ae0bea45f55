#!/bin/sh
# Installs the Debian packages named as arguments where that may be done without asking (as root, or with a sudo that
# wants no password); elsewhere says what to type, and fails.
#
# Starts and enables no service: what a package brings as one (openssh-server: sshd) is for the demo and the tests to
# start, on ports of their own.
set -eu

if ! command -v apt-get >/dev/null; then
  echo "Missing here, by the names of their Debian packages: $*. Install them, then try again." >&2
  exit 1
fi

if [ "$(id -u)" -ne 0 ]; then
  if sudo -n true 2>/dev/null; then exec sudo -n sh "$0" "$@"; fi
  echo "Missing here: $*. Install, then try again:" >&2
  echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends $*" >&2
  exit 1
fi

echo "setup: installing with apt-get: $*"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
own_policy=
cleanup() {
  rm -f "$log"
  [ -z "$own_policy" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# What invoke-rc.d asks before it starts a service; 101 forbids it.
if [ ! -e "$policy" ]; then
  own_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" >"$log" 2>&1 </dev/null
}

# The package lists may be missing or out of date.
if ! install "$@"; then
  echo 'setup: fetching the package lists first (apt-get update)'
  if ! { apt-get update >"$log" 2>&1 && install "$@"; }; then
    cat "$log" >&2
    echo "apt-get failed, as shown. Repair that, or install these by hand, then try again: $*" >&2
    exit 1
  fi
fi

case " $* " in
  *' openssh-server '*)
    # Nor does sshd start with the machine.
    if command -v systemctl >/dev/null; then systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true; fi
    ;;
esac
echo "setup: installed $*; no service was started or enabled"
