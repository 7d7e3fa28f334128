#!/bin/sh
# One lock for all Python versions and ways to run, with hashes and without index addresses; and the part of it that an
# image needs, in the same versions.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet uv
compile() {
    "$tmp/venv/bin/uv" pip compile pyproject.toml "$@" --universal --python-version 3.11 --generate-hashes --no-header --quiet
}
[ "${1:-}" = runtime ] || compile --group embedded --group test --upgrade -o requirements.lock
compile --constraint requirements.lock -o requirements-runtime.lock
[ "${1:-}" = runtime ] || "$tmp/venv/bin/uv" pip compile --group pyproject.toml:bench --universal --python-version 3.11 \
    --generate-hashes --no-header --quiet --upgrade -o bench/requirements.lock
