#!/bin/bash
# The security plugin's users are exactly two, with the passwords of the environment: no demo users, no demo keys.
# They are written into the security index at the first start; afterwards change-passwords.sh changes them.
. "$(dirname "$0")/passwords.sh"

users=config/opensearch-security/internal_users.yml
cat >"$users" <<END
_meta: {type: internalusers, config_version: 2}
admin: {hash: "$(hashed OPENSEARCH_INITIAL_ADMIN_PASSWORD)", reserved: true, backend_roles: [admin]}
kibanaserver: {hash: "$(hashed MMSEARCH_DASHBOARDS_SERVER_PASSWORD)", reserved: true}
END
chmod 600 "$users"
unset MMSEARCH_DASHBOARDS_SERVER_PASSWORD
exec ./opensearch-docker-entrypoint.sh "$@"
