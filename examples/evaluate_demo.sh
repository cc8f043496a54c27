#!/usr/bin/env bash
# The worked example of docs/evaluation.md: fusions trained on one half of openclipart, real catalogs in, a hybrid
# tuned, eight systems compared on the live indexes, reports written. QUERIES=300 limits the queries of each set.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
export MMSEARCH_HOME=${MMSEARCH_HOME:-$PWD/.mmsearch}

run() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; "$@"; }

declare -A trained=([3tmm]=3tmm_gated [4tmm]=4tmm_gated)

# Trainings and indices of another size are others: they keep their own names.
name_of=evaluate${QUERIES:+-$QUERIES}
work=build/$name_of
sets=(openclipart furniture software)
mkdir -p "$work"
run mmsearch models build
run mmsearch up
run python examples/evaluate_demo.py "$work" ${QUERIES:-}
for set in "${sets[@]}"; do
    run mmsearch ingest "$work/$set/catalog.jsonl" --index "$name_of-$set-untrained" --on-bad-image text-only
done
for name in 3tmm 4tmm; do
    run mmsearch train "${trained[$name]}" --out "$work/trained/$name" \
        --catalog "$work/openclipart/training/catalog.jsonl" --pairs "$work/openclipart/training/pairs.jsonl"
    run mmsearch models deploy "$work/trained/$name"
    for set in "${sets[@]}"; do
        run mmsearch ingest "$work/$set/catalog.jsonl" --index "$name_of-$set-$name" \
            --vectors embedding,text_embedding --on-bad-image text-only
    done
done
# The text vectors of the trained 4tMM are the control for what pictures bring: the same training, without them.
lexical=$(python -c 'import json; from mmsearch.search.lexical import DEFAULT, named; print(json.dumps(named(DEFAULT, "bm25")))')
rrf='{"query": {"hybrid": {"queries": ['$lexical',
    {"neural": {"embedding": {"query_text": "{{query}}", "k": 100, "_name": "fused"}}}],
  "fusion": {"combination": {"technique": "rrf"}}, "pagination_depth": 100}}}'
for set in "${sets[@]}"; do
    folder=$work/$set
    export MMSEARCH_INDEX=$name_of-$set-4tmm
    run mmsearch tune --judgments "$folder/judgments.jsonl" --leg bm25=lexical --leg text --leg fused=neural \
        --out "$folder/tuned.json" --json | tee "$folder/tune.json"
    MMSEARCH_INDEX=$name_of-$set-untrained run mmsearch tune --judgments "$folder/judgments.jsonl" \
        --leg bm25=lexical --leg fused=neural --json | tee "$folder/tune-untrained.json"
    run mmsearch evaluate --judgments "$folder/judgments.jsonl" \
        --system bm25=lexical --system text --system "untrained@$name_of-$set-untrained=neural" --system "3tmm@$name_of-$set-3tmm=neural" \
        --system 4tmm=neural --system "rrf=$rrf" --system hybrid --system "tuned=$folder/tuned.json" \
        --baseline text \
        --measure ndcg@10 --measure 'recall(exact)@10' --measure 'recall(exact)@100' --measure mrr \
        --measure 'share(E)@10' --measure 'share(unjudged)@10' \
        --report "$folder/report.html" --title "$set: eight systems" --image-root "$folder" \
        --runs-out "$folder/runs" --json > "$folder/numbers.json"
done
cp "$work/openclipart/report.html" build/report.html
printf '\n%s is written, and one beside the catalogs of %s.\n' build/report.html "${sets[*]}"
