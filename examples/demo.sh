#!/usr/bin/env bash
# The main job on real data: servers up, a catalog in, four searches out. Run again, it reuses the servers.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
export MMSEARCH_HOME=${MMSEARCH_HOME:-$PWD/.mmsearch}

run() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

run mmsearch models build
run mmsearch up
folder="$PWD/build/demo"
mkdir -p "$folder"
python examples/demo_catalog.py "$folder"
run mmsearch ingest build/demo/catalog.jsonl
picture=$(python -c '
import json, pathlib
folder = pathlib.Path("build/demo")
products = [json.loads(line) for line in (folder / "catalog.jsonl").open(encoding="utf-8")]
chairs = [product for product in products if "chair" in product["title"].lower()]
print(folder / (chairs or products)[0]["image"])
')
run mmsearch search "fridge" --mode lexical -k 4
run mmsearch search "fridge" --mode neural -k 4
run mmsearch search --image "$picture" -k 4
run mmsearch search "fridge" --mode hybrid -k 4
printf '\nThe servers stay up. Next: the curl examples of README.md. To stop them: .venv/bin/mmsearch down\n'
