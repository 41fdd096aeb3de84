#!/bin/sh
# Builds a component from a folder with a provisioner in Python: `main.py` and what it imports.
#
#   sdk/python/build.sh FOLDER OUTPUT
#
# The toolchain is pinned (requirements.txt) and goes to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests.
set -eu
sdk=$(cd "$(dirname "$0")" && pwd)
wit=$sdk/../../wit/provisioner-0.1
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
[ $# = 2 ] || { echo "usage: $0 FOLDER OUTPUT" >&2; exit 2; }
python3 -c 'import ensurepip' 2>/dev/null || {
    printf 'missing: Python 3.10 or newer with venv\nget it:  apt-get install python3-venv, or https://python.org\n' >&2
    exit 3
}
mkdir -p "$cache"
if ! cmp -s "$sdk/requirements.txt" "$cache/python/installed.txt"; then
    python3 -m venv "$cache/python"
    "$cache/python/bin/pip" install --quiet --disable-pip-version-check -r "$sdk/requirements.txt"
    cp "$sdk/requirements.txt" "$cache/python/installed.txt"
fi
# A copy: Python writes beside the sources.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$1/." "$work"
cp -R "$sdk/starsystem_provisioner" "$work"
# No WASI at all: the contract is everything that the component imports.
"$cache/python/bin/componentize-py" -d "$wit" -w provisioner \
    componentize --stub-wasi -p "$work" main -o "$2"
