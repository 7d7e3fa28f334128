#!/bin/sh
# One lock for all Python versions and ways to run, with hashes and without index addresses.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet uv
"$tmp/venv/bin/uv" pip compile pyproject.toml --group embedded --group test --universal --python-version 3.11 \
    --generate-hashes --no-header --quiet --upgrade -o requirements.lock
