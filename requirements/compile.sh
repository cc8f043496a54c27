#!/bin/sh
# Pins every group for every supported Python: exact versions and hashes, and no index address.
# Needs uv on the PATH; run from anywhere: requirements/compile.sh [--upgrade]
set -eu
cd "$(dirname "$0")"
for python in 3.11 3.12; do
    constraint=""
    # The largest set first; each smaller one is held to what it resolved to, so that all agree.
    for group in "dev formats ray aws otel keyring train ui local core" "train local core" "local core" "core"; do
        name=${group%% *}
        uv pip compile --quiet --python-version "$python" --python-platform x86_64-manylinux_2_35 \
            --generate-hashes --no-header --no-annotate $constraint "$@" \
            $(printf '%s.in ' $group) --output-file "$python/$name.txt"
        constraint="--constraint $python/$name.txt"
    done
    uv pip compile --quiet --no-deps --python-version "$python" --python-platform x86_64-manylinux_2_35 \
        --generate-hashes --no-header --no-annotate "$@" bench.in --output-file "$python/bench.txt"
done
# The embedded servers bind Python and numpy; the client alone, and what its tests need, does with newer ones.
uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_35 \
    --generate-hashes --no-header --no-annotate "$@" core.in formats.in ui.in client-tests.in --output-file 3.13/client.txt
