#!/bin/sh
# Builds the component of a provisioner in Rust.
#
#   sdk/rust/build.sh FOLDER OUTPUT
set -eu
[ $# = 2 ] || { echo "usage: $0 FOLDER OUTPUT" >&2; exit 2; }
command -v cargo >/dev/null || {
    printf 'missing: cargo\nget it:  https://rustup.rs\n' >&2
    exit 3
}
[ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2" ] || {
    printf 'missing: Rust for wasm32-wasip2\nget it:  rustup target add wasm32-wasip2\n' >&2
    exit 3
}
cd "$1"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --target wasm32-wasip2
name=$(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | head -1 | tr - _)
cp "$target/wasm32-wasip2/release/$name.wasm" "$2"
