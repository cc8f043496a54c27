#!/usr/bin/env bash
# The wheel of this checkout and its pinned packages in an environment of their own, build/NAME-venv:
# scripts/wheel_venv.sh NAME PYTHON GROUP
set -euo pipefail
cd "$(dirname "$0")/.."
export VIRTUAL_ENV="$PWD/build/$1-venv"
wheels="build/$1-wheel"
mkdir -p build
rm -rf "$wheels" build/lib build/bdist.*
.venv/bin/python -m build --wheel --no-isolation --outdir "$wheels" . >"$wheels.log" 2>&1 ||
    { tail -n 30 "$wheels.log" >&2; exit 1; }
[ -x "$VIRTUAL_ENV/bin/python" ] || .venv/bin/uv venv --quiet --python "$2" "$VIRTUAL_ENV"
"$VIRTUAL_ENV/bin/python" requirements/choose.py "$3" >"$VIRTUAL_ENV/pins.txt"
.venv/bin/uv pip sync --quiet --require-hashes "$VIRTUAL_ENV/pins.txt"
.venv/bin/uv pip install --quiet --no-deps "$wheels"/mmsearch-*.whl
