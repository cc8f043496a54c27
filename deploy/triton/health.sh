#!/bin/sh
# Healthy is who encodes: a dead model process leaves /v2/health/ready at 200.
exec curl --fail --silent --show-error --output /dev/null --max-time 4 --header "Content-Type: application/json" \
    --data @"$(dirname "$0")/health.json" "http://127.0.0.1:${TRITON_HTTP_PORT:-8000}/v2/models/query_encoder/infer"
