#!/usr/bin/env bash
# Makes .venv with every pinned package and mmsearch itself, editable. Asks nothing; says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "mmsearch: $1" >&2; exit 1; }

# As root on Debian the missing packages are installed; anyone else is told their names.
debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    export DEBIAN_FRONTEND=noninteractive
    echo "mmsearch: installing $*" >&2
    apt-get install -y -qq "$@" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$@" >/dev/null; }
}

# Triton's Python stub is linked against libpython3.X.so.1.0, so a Python without it will not do.
usable() {
    "$1" - <<'PY' >/dev/null 2>&1
import ctypes, ensurepip, sys, sysconfig, pathlib
assert sys.version_info[:2] in {(3, 11), (3, 12)}
name = f"libpython3.{sys.version_info[1]}.so.1.0"
library = pathlib.Path(sysconfig.get_config_var("LIBDIR"), name)
ctypes.CDLL(str(library) if library.exists() else name)
PY
}
find_python() {
    local candidate
    for candidate in "${MMSEARCH_PYTHON:-}" python3.11 python3.12 python3 /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null && usable "$candidate" && { command -v "$candidate"; return; }
    done
    return 1
}
packages="python3 python3-venv libpython3.11"
python=$(find_python) || { debian $packages; python=$(find_python); } ||
    fail "expected Python 3.11 or 3.12 with its shared library and venv, found none; repair: sudo apt-get install $packages, or set MMSEARCH_PYTHON"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

if [ "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$version" ]; then
    "$python" -m venv --clear .venv
fi
.venv/bin/python requirements/choose.py dev >.venv/pins.txt
.venv/bin/python requirements/choose.py dev --only uv >.venv/uv.txt
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$(grep -oE '^uv==[0-9.]+' .venv/uv.txt | cut -d= -f3)" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
fi
export UV_LINK_MODE=${UV_LINK_MODE:-hardlink}
.venv/bin/uv pip sync --quiet --require-hashes .venv/pins.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
touch .venv/.ready
