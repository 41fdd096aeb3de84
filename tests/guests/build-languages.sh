#!/bin/sh
# Builds the smoke component from Python and from JavaScript, to prove that the contract belongs to no language.
#
#   tests/guests/build-languages.sh [OUTPUT_DIRECTORY]
#
# The toolchains are pinned (python/requirements.txt, js/package-lock.json) and go to $SS_LANGUAGE_CACHE or
# ~/.cache/ss-language-guests, never into the repository. Run the tests with SS_LANGUAGE_GUESTS=OUTPUT_DIRECTORY.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wit=$here/../../wit/provisioner-0.1
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

python() {
    [ -x "$cache/python/bin/pip" ] || python3 -m venv "$cache/python"
    "$cache/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    (cd "$work" && "$cache/python/bin/componentize-py" -d "$wit" -w provisioner \
        componentize --stub-wasi smoke -o "$output/smoke_python.wasm")
}

javascript() {
    mkdir -p "$cache/js"
    cp "$here/js/package.json" "$here/js/package-lock.json" "$cache/js"
    # Not `npm ci`: it refuses a lock that leaves out the prebuilt bindings of other machines.
    (cd "$cache/js" && npm install --no-audit --no-fund --ignore-scripts)
    "$cache/js/node_modules/.bin/componentize-qjs" --wit "$wit" --world provisioner \
        --module-root "$work" --js "$work/smoke.js" \
        --stub-wasi --sync --opt-size --output "$output/smoke_js.wasm"
}

python
javascript
echo "built $output/smoke_python.wasm and $output/smoke_js.wasm"
