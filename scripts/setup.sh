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
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # Byte code is compiled at the first import: most of what the packages bring is never imported.
    .venv/bin/pip install --quiet --disable-pip-version-check --no-compile --editable ".$extras"
    touch "$stamp"
fi
