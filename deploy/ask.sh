#!/bin/sh
# Asks the node of docker-compose.yml as its administrator, over TLS: deploy/ask.sh METHOD PATH [JSON]
# The password of .env goes to curl by a pipe, since `ps` shows command lines to every user of the machine.
set -eu
cd "$(dirname "$0")/.."
method=${1:?expected a method, got none; repair: deploy/ask.sh GET /}
path=${2:?expected a path, got none; repair: deploy/ask.sh GET /}
password=$(sed -n 's/^OPENSEARCH_INITIAL_ADMIN_PASSWORD=//p' .env)
signed=$(printf 'admin:%s' "$password" | base64 -w0)
[ -z "${3:-}" ] || set -- "$1" "$2" --header "Content-Type: application/json" --data "$3"
shift 2
printf 'header = "Authorization: Basic %s"\n' "$signed" |
    curl --config - --silent --show-error --fail-with-body --cacert deploy/certificates/client/ca.pem \
        --request "$method" "$@" "https://localhost:9200$path"
echo
