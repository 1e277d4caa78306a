# Sourced by try.sh and test.sh, which set $extras ("" or "[test]"): go to the checkout and make sure of a virtual
# environment in .venv with the package in it.
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "Python 3.10 or newer is needed; name it with PYTHON=/path/to/python3" >&2
    exit 2
fi
# Where this is set, as in many containers, every program would compile all that it imports anew: ten seconds each time.
unset PYTHONDONTWRITEBYTECODE
stamp=.venv/installed$extras
if [ ! -e "$stamp" ] || [ setup.py -nt "$stamp" ]; then
    echo "Installing into .venv; this takes some minutes, once ..." >&2
    pip=".venv/bin/python -m pip --quiet --disable-pip-version-check"
    # Also where one was left half made, for want of python3-venv. Without pyvenv.cfg its Python would be the system's.
    { [ -e .venv/pyvenv.cfg ] && $pip --version; } >/dev/null 2>&1 || "$python" -m venv .venv
    # uv downloads and unpacks in parallel: half a minute instead of two. Where it cannot be had, or finds nothing since
    # it does not read pip's configuration, pip does the same; without byte code, which the first import writes: most of
    # what the packages bring is never imported.
    { $pip install uv && .venv/bin/uv --quiet pip install --python .venv/bin/python --editable ".$extras"; } 2>/dev/null ||
        $pip install --no-compile --editable ".$extras"
    touch "$stamp"
fi
