#!/usr/bin/env bash
# Runs the unit layer against the built wheel, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/wheel_venv.sh unit .venv/bin/python dev
# Bare `pytest` leaves this folder off the path, so that the installed packages are the ones tested.
MMSEARCH_TESTS_EXPECT=wheel build/unit-venv/bin/pytest -q -m "not integration and not slow"
