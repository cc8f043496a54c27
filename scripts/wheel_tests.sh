#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own, and runs the unit layer against it.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p build
export VIRTUAL_ENV="$PWD/build/wheel-venv"
rm -rf build/wheel build/lib build/bdist.*
.venv/bin/python -m build --wheel --no-isolation --outdir build/wheel . >build/wheel-build.log 2>&1 ||
    { tail -n 30 build/wheel-build.log >&2; exit 1; }
[ -x "$VIRTUAL_ENV/bin/python" ] || .venv/bin/uv venv --quiet --python .venv/bin/python "$VIRTUAL_ENV"
.venv/bin/uv pip sync --quiet --require-hashes "requirements/$version/dev.txt"
.venv/bin/uv pip install --quiet --no-deps build/wheel/mmsearch-*.whl
# Bare `pytest` leaves this folder off the path, so that the installed packages are the ones tested.
MMSEARCH_TESTS_EXPECT=wheel "$VIRTUAL_ENV/bin/pytest" -q -m "not integration and not slow"
