#!/bin/sh
# Installs the Debian packages named as arguments, as root, and starts no service: what the packages bring as a service
# (openssh-server: sshd) is for tests and the demo to start on ports of their own.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$@"
}

# The lists may be missing or out of date.
install "$@" || { apt-get update --quiet && install "$@"; }

for package in "$@"; do
  if [ "$package" = openssh-server ] && command -v systemctl >/dev/null; then
    # Nor does it start with the machine.
    systemctl disable --quiet ssh.service ssh.socket || true
  fi
done
