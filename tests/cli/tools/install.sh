#!/usr/bin/env bash
# Other people's programs that the tests of the binary are judged by: the official OTLP messages in Python, a YAML parser,
# mermaid. Usage: install.sh DIRECTORY, which SS_TEST_TOOLS then names.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
cd "$1"
[ -x python/bin/python ] || python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
cp "$here/package.json" "$here/package-lock.json" .
npm ci --silent --no-audit --no-fund --ignore-scripts
