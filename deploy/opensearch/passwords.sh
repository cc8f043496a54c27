#!/bin/bash
# What the node's start and the job `passwords` share; sourced by bash.
# A value stands in no command line: `ps` shows those to every user of the machine.
set -euo pipefail
LC_ALL=C
cd /usr/share/opensearch

acceptable() { # VARIABLE: eight characters of four kinds, which .env.example asks for
    local value=${!1:-}
    if ((${#value} < 8)) || ! [[ $value =~ [a-z] && $value =~ [A-Z] && $value =~ [0-9] && $value =~ [^a-zA-Z0-9] ]]; then
        echo "mmsearch: expected $1 to have eight characters at least, with a small letter, a capital, a digit and another sign, got ${#value} characters; repair: write such a one into .env, then the same command again" >&2
        exit 1
    fi
}

hashed() { # VARIABLE: hash.sh reads it itself
    plugins/opensearch-security/tools/hash.sh -env "$1" | tail -n 1
}

acceptable OPENSEARCH_INITIAL_ADMIN_PASSWORD
acceptable MMSEARCH_DASHBOARDS_SERVER_PASSWORD
