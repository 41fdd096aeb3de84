#!/bin/sh
# Installs the editor's YAML language server that the schemas are tried on, and prints its path.
#
#   SS_LANGUAGE_SERVER=$(tests/language-server/install.sh) cargo test -p ss --test cli -- language_server
#
# Pinned by package-lock.json; goes to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests, never into the repository.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}/language-server
mkdir -p "$cache"
cp "$here/package.json" "$here/package-lock.json" "$cache"
# Not `npm ci`: it refuses a lock that leaves out what only other machines need.
(cd "$cache" && npm install --no-audit --no-fund --ignore-scripts >&2)
echo "$cache/node_modules/yaml-language-server/bin/yaml-language-server"
