#!/bin/sh
# Whether both entry models encode, by a real inference of each: a dead model process leaves /v2/health/ready at 200.
# Sourced. Returns curl's code of the first that does not: 28 is no response in time, as of a server that is busy.
encodes() {
    here=/opt/mmsearch
    for model in query_encoder item_encoder; do
        curl --fail --silent --show-error --output /dev/null --max-time 2 --header "Content-Type: application/json" \
            --data @"$here/health.json" "http://127.0.0.1:${TRITON_HTTP_PORT:-8000}/v2/models/$model/infer" || return $?
    done
}
