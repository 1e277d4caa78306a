#!/bin/sh
# Set up and pass the tests: ruff, then pytest with whatever arguments are given.
set -eu
extras="[test]"
. "$(dirname "$0")/setup.sh"

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/pytest -q "$@"
