#!/usr/bin/env bash
# What `make test` and `make test-all` run: scripts/test.sh [PYTEST OPTIONS].
# The plugin's suite mostly waits for its nodes, so it runs beside the checks of Python and the unit layer. pytest
# tests the built wheel, and its closing line comes last.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
log=build/plugin-suite.log

# Goal `test`: `package` would write the zip again while the integration layer starts nodes with it.
scripts/maven.sh -q test >"$log" 2>&1 &
plugin=$!
# The suite's Java process is a child of Maven's, so both are ended when this script is.
trap 'pkill -P $plugin 2>/dev/null || :; kill $plugin 2>/dev/null || :' EXIT

make --no-print-directory lint typecheck
scripts/wheel_venv.sh unit .venv/bin/python dev
code=0
MMSEARCH_TESTS_EXPECT=wheel build/unit-venv/bin/pytest "$@" tests/unit tests/integration tests/foreign 2>&1 | tee build/pytest.log || code=$?

suite=0
wait $plugin || suite=$?
trap - EXIT
if [ $suite != 0 ]; then
    tail -n 60 "$log"
    echo "mmsearch: the plugin's suite failed; its output is in $log, its reports in plugin/target/surefire-reports"
    tail -n 1 build/pytest.log
fi
exit $((code ? code : suite))
