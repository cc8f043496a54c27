#!/usr/bin/env bash
# What is released, into dist/: the wheel, the plugin for each version of plugin/versions.txt, the pinned
# requirements of `mmsearch[local]`, bills of materials (CycloneDX), and the sums of all of it.
# The same commit gives the same files: times come from the commit (or SOURCE_DATE_EPOCH).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
built_at=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
cyclonedx=org.cyclonedx:cyclonedx-maven-plugin:2.9.1
version=$(python -c 'import mmsearch; print(mmsearch.__version__)')
patch=$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["tool"]["mmsearch"]["plugin-patch"])')

rm -rf dist
mkdir -p dist build
# Staged, so that classes of one OpenSearch version never lie in the checkout's plugin/target beside another's.
staged=$(mktemp -d build/dist-XXXXXX)
trap 'rm -rf "$staged"' EXIT
cp -r --parents pyproject.toml plugin/pom.xml plugin/versions.txt plugin/src scripts/maven.sh "$staged"
maven() { (cd "$staged" && scripts/maven.sh -q -Dproject.build.outputTimestamp="$built_at" "$@"); }

for opensearch in $(grep -v '^#' plugin/versions.txt | cut -d' ' -f1); do
    maven -DskipTests -Dopensearch.version="$opensearch" clean package
    cp "$staged/plugin/target/mmsearch-$opensearch.$patch.zip" dist/
done
scripts/wheel.sh dist "$(ls dist/mmsearch-"$(grep -m1 -v '^#' plugin/versions.txt | cut -d' ' -f1)".$patch.zip)"

maven "$cyclonedx:makeBom" -DoutputFormat=json -DoutputName=bom -DincludeTestScope=false \
    -Dcyclonedx.skipAttach=true
cp "$staged/plugin/target/bom.json" "dist/mmsearch-$version-plugin.cdx.json"
for python in 3.11 3.12; do
    python requirements/choose.py local --python "$python" >"dist/requirements-local-$python.txt"
    # The tool warns that lines of a requirements file say nothing of who needs whom.
    python -W ignore -m cyclonedx_py requirements "dist/requirements-local-$python.txt" --pyproject pyproject.toml \
        --output-reproducible --of JSON --output-file "dist/mmsearch-$version-python$python.cdx.json"
done
(cd dist && sha256sum -- * >SHA256SUMS && ls -lh --time-style=+ | awk 'NR > 1 {print $5 "\t" $6}')
