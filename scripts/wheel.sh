#!/usr/bin/env bash
# Builds the wheel that is released, with the plugin's zip and the default models inside: scripts/wheel.sh OUT [ZIP]
# The checkout stays as it is: the files that git knows are staged under build/, and what is built goes beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?expected the folder for the wheel, got none; repair: scripts/wheel.sh dist}")
fail() { echo "mmsearch: $1" >&2; exit 1; }

zip=${2:-$(compgen -G 'plugin/target/mmsearch-*.zip' || true)}
[ -f "$zip" ] || fail "expected the plugin's zip at ${zip:-plugin/target}, got no such file; repair: make plugin"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

mkdir -p build "$out"
staged=$(mktemp -d build/wheel-XXXXXX)
trap 'rm -rf "$staged"' EXIT
git ls-files -z --cached --others --exclude-standard -- LICENSE README.md pyproject.toml requirements \
    cli ingest model_repository opensearch src | xargs -0 cp --parents --no-dereference -t "$staged"
cp "$zip" "$staged/src/mmsearch/stack/"
.venv/bin/python -m mmsearch.models.packaging "$staged/src/mmsearch/models/packaged"
# What the umask took from readers would be missing after an installation by root.
chmod -R u=rwX,go=rX "$staged"
(cd "$staged" && ../../.venv/bin/python -m build --wheel --no-isolation --outdir "$out" .) >build/wheel.log 2>&1 ||
    { tail -n 30 build/wheel.log >&2; exit 1; }
