#!/bin/sh
# Builds the module of a provisioner in Go; `ss plugin build` makes a component of it.
#
#   sdk/go/build.sh FOLDER OUTPUT
#
# Go 1.24 or newer, from the path; else a pinned one, which goes to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests.
set -eu
sdk=$(cd "$(dirname "$0")" && pwd)
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
[ $# = 2 ] || { echo "usage: $0 FOLDER OUTPUT" >&2; exit 2; }
case $(go env GOVERSION 2>/dev/null || true) in
    go1.2[4-9]* | go1.[3-9][0-9]*) go=go ;;
    *)
        go=$cache/go/bin/go
        if ! cmp -s "$sdk/requirements.txt" "$cache/go/installed.txt"; then
            python3 -c 'import ensurepip' 2>/dev/null || {
                printf 'missing: go 1.24 or newer\nget it:  https://go.dev/dl, or python3 with venv, with which it is installed here\n' >&2
                exit 3
            }
            python3 -m venv "$cache/go" >&2
            "$cache/go/bin/pip" install --quiet --disable-pip-version-check -r "$sdk/requirements.txt" >&2
            cp "$sdk/requirements.txt" "$cache/go/installed.txt"
        fi
        ;;
esac
# `checklinkname`: the generated bindings allocate before Go's own runtime is there. Line numbers stay in a panic's trace.
cd "$1"
GOOS=wasip1 GOARCH=wasm GOFLAGS= GOPROXY=off GOTOOLCHAIN=local "$go" build -buildmode=c-shared -trimpath \
    -ldflags="-s -w -checklinkname=0" -o "$2" .
