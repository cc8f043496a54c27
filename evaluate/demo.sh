#!/usr/bin/env bash
# The worked example of docs/evaluation.md: real catalogues in, fusion tuned, six systems compared, reports written.
# QUERIES=300 limits the queries of each set.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
export MMSEARCH_HOME=${MMSEARCH_HOME:-$PWD/.mmsearch}

run() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; "$@"; }

mkdir -p build/evaluate
run mmsearch models build
run mmsearch up
run python -m mmsearch.evaluate.demo build/evaluate ${QUERIES:-}
rrf='{"query": {"hybrid": {"queries": [
    {"multi_match": {"query": "{{query}}", "fields": ["title^2", "description", "category", "brand"],
                     "type": "cross_fields", "_name": "bm25"}},
    {"neural": {"embedding": {"query_text": "{{query}}", "k": 100, "_name": "fused"}}}],
  "fusion": {"combination": {"technique": "rrf"}}, "pagination_depth": 100}}}'
for set in openclipart furniture; do
    folder=build/evaluate/$set
    export MMSEARCH_INDEX=evaluate-$set
    run mmsearch ingest "$folder/catalog.jsonl" --vectors embedding,text_embedding --on-bad-image text-only
    run mmsearch tune --judgments "$folder/judgments.jsonl" --leg bm25=lexical --leg text --leg fused=neural \
        --out "$folder/tuned.json"
    run mmsearch evaluate --judgments "$folder/judgments.jsonl" \
        --system bm25=lexical --system text --system 4tmm=neural \
        --system "rrf=$rrf" --system hybrid --system "tuned=$folder/tuned.json" --baseline text \
        --measure ndcg@10 --measure 'recall(exact)@10' --measure 'recall(exact)@100' --measure mrr \
        --measure 'share(E)@10' --measure 'share(unjudged)@10' \
        --report "$folder/report.html" --title "$set: six systems" --image-root "$folder" \
        --runs-out "$folder/runs" --json > "$folder/numbers.json"
done
cp build/evaluate/openclipart/report.html build/report.html
printf '\nbuild/report.html and build/evaluate/furniture/report.html are written.\n'
