#!/bin/sh
# Set up and pass the tests: ruff, then pytest with whatever arguments are given, such as -m "not slow".
set -eu
extras="[test]"
. "$(dirname "$0")/setup.sh"

# The page is tested in a browser, which pip cannot install.
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
if ! browser && command -v apt-get >/dev/null && $root true 2>/dev/null; then
    echo "Installing Chromium, once ..." >&2
    { $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
    } >/dev/null 2>&1 || echo "Chromium could not be installed." >&2
fi

.venv/bin/ruff check .
.venv/bin/ruff format --check .
# Three workers for two cores: browsers, servers and Ray are often waited for.
.venv/bin/pytest -q -n 3 --dist worksteal "$@"
