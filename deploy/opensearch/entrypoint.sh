#!/bin/bash
# The security plugin's users are exactly two, with the passwords of the environment: no demo users, no demo keys.
set -euo pipefail
cd /usr/share/opensearch

hashed() { # VARIABLE: hash.sh reads it itself, so that the password stands in no command line
    plugins/opensearch-security/tools/hash.sh -env "$1" | tail -n 1
}
: "${OPENSEARCH_INITIAL_ADMIN_PASSWORD:?expected a password, got none; set it in .env}"
: "${MMSEARCH_DASHBOARDS_SERVER_PASSWORD:?expected a password, got none; set it in .env}"
users=config/opensearch-security/internal_users.yml
cat >"$users" <<END
_meta: {type: internalusers, config_version: 2}
admin: {hash: "$(hashed OPENSEARCH_INITIAL_ADMIN_PASSWORD)", reserved: true, backend_roles: [admin]}
kibanaserver: {hash: "$(hashed MMSEARCH_DASHBOARDS_SERVER_PASSWORD)", reserved: true}
END
chmod 600 "$users"
unset MMSEARCH_DASHBOARDS_SERVER_PASSWORD
exec ./opensearch-docker-entrypoint.sh "$@"
