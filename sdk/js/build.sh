#!/bin/sh
# Builds a component from a folder with a provisioner in JavaScript (`main.js`) or TypeScript (`main.ts`). In it
# `starsystem-provisioner` is this SDK; TypeScript is checked first.
#
#   sdk/js/build.sh FOLDER OUTPUT
#
# The toolchain is pinned (package-lock.json) and goes to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests.
set -eu
sdk=$(cd "$(dirname "$0")" && pwd)
wit=$sdk/../../wit/provisioner-0.1
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
[ $# = 2 ] || { echo "usage: $0 FOLDER OUTPUT" >&2; exit 2; }
command -v npm >/dev/null || {
    printf 'missing: node 20 or newer with npm\nget it:  apt-get install npm, or https://nodejs.org\n' >&2
    exit 3
}
mkdir -p "$cache/js"
if ! cmp -s "$sdk/package-lock.json" "$cache/js/installed.json"; then
    cp "$sdk/package.json" "$sdk/package-lock.json" "$cache/js"
    # Not `npm ci`: it refuses a lock that leaves out the prebuilt bindings of other machines.
    (cd "$cache/js" && npm install --no-audit --no-fund --ignore-scripts)
    cp "$sdk/package-lock.json" "$cache/js/installed.json"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$1" -maxdepth 1 -name '*.js' -exec cp {} "$work" \;
if [ -e "$1/main.ts" ]; then
    "$cache/js/node_modules/.bin/tsc" --project "$1" --outDir "$work"
fi
mkdir -p "$work/node_modules/starsystem-provisioner"
cp "$sdk/index.js" "$sdk/package.json" "$work/node_modules/starsystem-provisioner"
# No WASI at all: the contract is everything that the component imports.
"$cache/js/node_modules/.bin/componentize-qjs" --wit "$wit" --world provisioner --module-root "$work" \
    --js "$work/main.js" --stub-wasi --sync --opt-size --output "$2"
