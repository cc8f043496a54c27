#!/bin/bash
# Gives the users of a running node the passwords of the environment, by the administrator's certificate.
. "$(dirname "$0")/passwords.sh"

node=https://opensearch:9200/_plugins/_security/api/internalusers
change() { # USER VARIABLE
    local body answer
    body="[{\"op\": \"add\", \"path\": \"/hash\", \"value\": \"$(hashed "$2")\"}]"
    answer=$(printf '%s' "$body" | curl --silent --show-error --max-time 60 --request PATCH --data @- \
        --header "Content-Type: application/json" --write-out '\n%{http_code}' --cacert config/certificates/ca.pem \
        --cert config/certificates/admin.pem --key config/certificates/admin.key "$node/$1")
    if [ "${answer##*$'\n'}" != 200 ]; then
        echo "mmsearch: expected the node to change the password of $1, got $answer" >&2
        exit 1
    fi
    echo "the password of $1 is changed"
}
change kibanaserver MMSEARCH_DASHBOARDS_SERVER_PASSWORD
change admin OPENSEARCH_INITIAL_ADMIN_PASSWORD
