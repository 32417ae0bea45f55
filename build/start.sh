#!/bin/sh
# Starts a program of build/ under Node 26, whatever Node the machine has: `sh build/start.sh demo` runs build/demo.ts.
# That Node comes with npm's package `node`. This is a shell script because nothing else is sure to run before it does:
# an older Node reads no TypeScript, and the official Node 26 needs a library that a small Debian lacks.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "$1" >&2
  exit 1
}

program=${1:-}
case $program in
  demo | test | build | check) shift ;;
  *)
    echo 'usage: sh build/start.sh demo|test|build|check [ARGUMENT]...' >&2
    exit 2
    ;;
esac

PATH=$PWD/node_modules/.bin:$PATH
export PATH
node=$PWD/node_modules/.bin/node

[ -d node_modules/esbuild ] || fail 'The packages are not installed yet. Run: npm ci'
[ -x "$node" ] || fail 'Node 26 is missing, because npm ran no install script. Run: npm rebuild node --ignore-scripts=false'

if ! fault=$("$node" --version 2>&1); then
  case $fault in
    *libatomic.so.1*) sh build/install-debian-packages.sh libatomic1 ;;
    *) fail "Node 26 does not start here: $fault" ;;
  esac
fi

exec "$node" "build/$program.ts" "$@"
