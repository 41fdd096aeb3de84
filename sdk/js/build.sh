#!/bin/sh
# Builds a component from a folder with a provisioner in JavaScript. In it `starsystem-provisioner` is this SDK.
#
#   sdk/js/build.sh FOLDER FILE OUTPUT
#
# The toolchain is pinned (package-lock.json) and goes to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests.
set -eu
sdk=$(cd "$(dirname "$0")" && pwd)
wit=$sdk/../../wit/provisioner-0.1
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
[ $# = 3 ] || { echo "usage: $0 FOLDER FILE OUTPUT" >&2; exit 2; }
mkdir -p "$cache/js"
if ! cmp -s "$sdk/package-lock.json" "$cache/js/installed.json"; then
    cp "$sdk/package.json" "$sdk/package-lock.json" "$cache/js"
    # Not `npm ci`: it refuses a lock that leaves out the prebuilt bindings of other machines.
    (cd "$cache/js" && npm install --no-audit --no-fund --ignore-scripts)
    cp "$sdk/package-lock.json" "$cache/js/installed.json"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$1/." "$work"
mkdir -p "$work/node_modules/starsystem-provisioner"
cp "$sdk/index.js" "$sdk/package.json" "$work/node_modules/starsystem-provisioner"
# No WASI at all: the contract is everything that the component imports.
"$cache/js/node_modules/.bin/componentize-qjs" --wit "$wit" --world provisioner --module-root "$work" \
    --js "$work/$2" --stub-wasi --sync --opt-size --output "$3"
