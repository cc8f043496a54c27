#!/usr/bin/env bash
# Runs the client's unit tests against the built wheel on a Python that the embedded servers do not run on:
# scripts/client_tests.sh [PYTHON], by default python3.13 where there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

# pyenv's shims are on the path for versions that are not chosen, and then do not run.
found() {
    local candidate
    for candidate in "$@" python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && { echo "$candidate"; return; }
    done
    return 1
}
python=$(found "$@") || { echo "mmsearch: no Python 3.13 is installed here, the client is not tried on it" >&2; exit 0; }

scripts/wheel_venv.sh client "$python" client-tests

# What needs no torch, no onnxruntime and no server of ours.
names=(
    access access_tls api_client api_evaluation api_import bulk catalog cli_main cli_tune evaluate_app
    evaluate_compare evaluate_exchange evaluate_fusion evaluate_gate evaluate_judgments evaluate_live
    evaluate_report evaluate_templates fetch flow images ingest ingest_retry journal language
    loss_options loss_run loss_sync partial plan query_log records search serving_pixels storage triton_described
)
MMSEARCH_TESTS_EXPECT=wheel build/client-venv/bin/pytest -q -p no:cacheprovider -m "not integration and not slow" \
    $(printf "tests/unit/test_%s.py " "${names[@]}")
