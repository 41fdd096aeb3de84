#!/bin/sh
# Builds the module of a provisioner in C; `ss plugin build` makes a component of it.
#
#   sdk/c/build.sh FOLDER OUTPUT
#
# clang with wasi-libc, or zig: from the path, or as $SS_CC with all the flags it needs to build for wasm32-wasi.
set -eu
sdk=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || { echo "usage: $0 FOLDER OUTPUT" >&2; exit 2; }
cc=${SS_CC:-}
if [ -z "$cc" ] && [ -e /usr/lib/wasm32-wasi/libc.a ]; then
    # Any that brings its runtime library for WebAssembly with it.
    for clang in clang-19 clang-20 clang-21 clang-18 clang-17 clang-16 clang-15 clang-14 clang; do
        command -v "$clang" >/dev/null || continue
        [ -n "$(find "$("$clang" --print-resource-dir)/lib" -name '*builtins*wasm32*' 2>/dev/null)" ] || continue
        cc="$clang --target=wasm32-wasi -isystem /usr/include/wasm32-wasi -L/usr/lib/wasm32-wasi"
        break
    done
fi
if [ -z "$cc" ] && command -v zig >/dev/null; then
    cc="zig cc -target wasm32-wasi"
elif [ -z "$cc" ] && python3 -c 'import ziglang' 2>/dev/null; then
    cc="python3 -m ziglang cc -target wasm32-wasi"
fi
[ -n "$cc" ] || {
    printf 'missing: clang and wasi-libc, or zig\n' >&2
    printf 'get it:  apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32; elsewhere pip install ziglang\n' >&2
    exit 3
}
# A reactor has no `main`. The stack is small: what a call needs is on the heap.
$cc -std=c11 -Wall -Wextra -Werror -Os -mexec-model=reactor -Wl,-s -Wl,-z,stack-size=131072 \
    -I"$sdk" -I"$sdk/bindings" "$1"/*.c "$sdk"/*.c "$sdk"/bindings/*.c -o "$2"
