#!/bin/sh
# Builds components from Python and from JavaScript, to prove that the contract belongs to no language: the smoke test,
# and the same provisioner in each language (examples/provisioners).
#
#   tests/guests/build-languages.sh [OUTPUT_DIRECTORY]
#
# The toolchains are the SDKs' own, pinned there; they go to $SS_LANGUAGE_CACHE or ~/.cache/ss-language-guests, never into
# the repository. Run the tests with SS_LANGUAGE_GUESTS=OUTPUT_DIRECTORY.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sdk=$here/../../sdk
examples=$here/../../examples/provisioners
cache=${SS_LANGUAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ss-language-guests}
output=${1:-$cache/guests}
mkdir -p "$cache" "$output"
output=$(cd "$output" && pwd)

# The manifest is the Rust component's, so that one test compares all three.
work=$cache/work
rm -rf "$work"
mkdir -p "$work"
manifest=$here/smoke/manifest.json
cp "$here/python/smoke.py" "$here/js/smoke.js" "$work"
{ printf 'TEXT = r"""'; cat "$manifest"; printf '"""\n'; } >"$work/manifest_text.py"
{ printf 'export const manifest = '; cat "$manifest"; printf ';\n'; } >"$work/manifest.js"

"$sdk/python/build.sh" "$work" smoke "$output/smoke_python.wasm"
"$sdk/python/build.sh" "$examples/dns-python" dns "$output/dns_python.wasm"
"$sdk/js/build.sh" "$work" smoke.js "$output/smoke_js.wasm"
"$sdk/js/build.sh" "$examples/dns-js" dns.js "$output/dns_js.wasm"
ls -l "$output"
