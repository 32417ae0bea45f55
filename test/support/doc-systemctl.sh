#!/bin/sh
# `systemctl` on the machines of the documentation's test, where systemd is not process 1. What only changes files is left to the real one;
# a service is started as its unit says: checked by systemd-analyze, as its user, with its credentials decrypted, its ExecStart.
set -eu

real() { SYSTEMD_OFFLINE=1 /usr/bin/systemctl "$@"; }
value() { sed -n "s/^$1=//p" "$unit" | tail -n 1; }
fail() {
  echo "systemctl: $1" >&2
  exit 1
}

find_unit() {
  name=${1%.service}
  case $name in ssh | sshd) return ;; esac
  unit=/etc/systemd/system/$name.service
  [ -f "$unit" ] || fail "Unit $name.service not found."
  runtime=/run/doc-units/$name
  mkdir -p "$runtime"
}

credentials() {
  rm -rf "$runtime/credentials"
  mkdir -m 0700 "$runtime/credentials"
  sed -n 's/^LoadCredentialEncrypted=//p' "$unit" | while IFS=: read -r id file; do
    systemd-creds decrypt --name="$id" "$file" "$runtime/credentials/$id"
  done
  sed -n 's/^LoadCredential=//p' "$unit" | while IFS=: read -r id file; do
    cp "$file" "$runtime/credentials/$id"
  done
  find "$runtime/credentials" -type f -exec chmod 0400 {} +
  chown -R "${user:-root}" "$runtime/credentials"
}

start() {
  case $name in
  ssh | sshd)
    [ -s /run/sshd.pid ] || /usr/sbin/sshd
    until [ -s /run/sshd.pid ]; do sleep 0.1; done # it goes to the background first, and listens then
    return
    ;;
  esac
  systemd-analyze verify --man=no "$unit" || fail "$unit has faults"
  user=$(value User)
  credentials
  # without the words of its EnvironmentFile, which no page writes
  command=$(value ExecStart | sed "s,%d,$runtime/credentials,g; s, \$[A-Z_]*,,g")
  : >"$runtime/log"
  # shellcheck disable=SC2086 # systemd splits the line as well
  setsid setpriv --reuid="${user:-root}" --regid="$(id -g "${user:-root}")" --init-groups \
    env CREDENTIALS_DIRECTORY="$runtime/credentials" $command >"$runtime/log" 2>&1 &
  echo $! >"$runtime/pid"
  tries=0
  until grep -q '^Serving ' "$runtime/log"; do
    kill -0 "$(cat "$runtime/pid")" 2>/dev/null || {
      cat "$runtime/log" >&2
      [ "$(value Type)" = oneshot ] || fail "Job for $name.service failed."
      return
    }
    tries=$((tries + 1))
    [ "$tries" -lt 1800 ] || fail "$name.service does not get ready: $(cat "$runtime/log")"
    sleep 0.1
  done
}

stop() {
  case $name in
  ssh | sshd)
    kill "$(cat /run/sshd.pid)"
    while [ -e /run/sshd.pid ]; do sleep 0.1; done
    return
    ;;
  esac
  [ -f "$runtime/pid" ] || return 0
  pid=$(cat "$runtime/pid")
  kill "$pid" || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  rm -f "$runtime/pid"
}

verb=${1:-}
case $verb in
start | stop | restart)
  shift
  for each; do
    find_unit "$each"
    [ "$verb" = start ] || stop
    [ "$verb" = stop ] || start
  done
  ;;
reload)
  find_unit "$2"
  case $name in
  ssh | sshd)
    until [ -s /run/sshd.pid ]; do sleep 0.1; done # it is not there while sshd starts anew
    kill -HUP "$(cat /run/sshd.pid)"
    ;;
  *) kill -HUP "$(cat "$runtime/pid")" ;;
  esac
  ;;
enable | disable)
  shift
  now=no
  [ "$1" != --now ] || { now=yes; shift; }
  find_unit "$1"
  [ "$verb" = enable ] || [ "$now" = no ] || stop
  real "$verb" "$1"
  [ "$verb" = disable ] || [ "$now" = no ] || start
  ;;
*) real "$@" ;;
esac
