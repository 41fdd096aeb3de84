#!/bin/sh
# Builds components from other languages than Rust, to prove that the contract belongs to none: the smoke test in Python and
# JavaScript, and the same provisioner in every language (examples/provisioners), by `ss plugin build`.
#
#   SS=PATH_OF_SS tests/guests/build-languages.sh [OUTPUT_DIRECTORY]
#
# The toolchains are the SDKs' own, pinned there; they go to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests, never into
# the repository. Run the tests with SS_LANGUAGE_GUESTS=OUTPUT_DIRECTORY.
set -eu
: "${SS:?the path of ss}"

here=$(cd "$(dirname "$0")" && pwd)
sdk=$here/../../sdk
examples=$here/../../examples/provisioners
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
output=${1:-$cache/guests}
mkdir -p "$cache" "$output"
output=$(cd "$output" && pwd)

# The manifest is the Rust component's, so that one test compares all three. An SDK takes `main` of a folder.
work=$cache/work
rm -rf "$work"
mkdir -p "$work/python" "$work/js"
manifest=$here/smoke/manifest.json
cp "$here/python/smoke.py" "$work/python/main.py"
cp "$here/js/smoke.js" "$work/js/main.js"
{ printf 'TEXT = r"""'; cat "$manifest"; printf '"""\n'; } >"$work/python/manifest_text.py"
{ printf 'export const manifest = '; cat "$manifest"; printf ';\n'; } >"$work/js/manifest.js"

"$sdk/python/build.sh" "$work/python" "$output/smoke_python.wasm"
"$sdk/js/build.sh" "$work/js" "$output/smoke_js.wasm"

for language in rust python js ts go c; do
    "$SS" plugin build "$examples/dns-$language" --output="$output/dns_$language.wasm"
done
