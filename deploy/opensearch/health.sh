#!/bin/bash
# Healthy is a node whose index has every primary and that lets the administrator in. The password comes by a pipe.
cd /usr/share/opensearch || exit 1
signed=$(printf 'admin:%s' "$OPENSEARCH_INITIAL_ADMIN_PASSWORD" | base64 -w0)
printf 'header = "Authorization: Basic %s"\n' "$signed" |
    curl --config - --fail --silent --output /dev/null --max-time 5 --cacert config/certificates/ca.pem \
        "https://localhost:9200/_cluster/health?wait_for_status=yellow&timeout=4s"
