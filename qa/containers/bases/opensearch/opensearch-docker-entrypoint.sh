#!/bin/bash
# As the official image's: settings in the environment become options, no demo configuration, then the node.
set -e
cd /usr/share/opensearch
options=()
while IFS='=' read -r -d '' name value; do
    if [[ "$name" =~ ^[a-z0-9_]+\.[a-z0-9_]+ && -n "$value" ]]; then options+=("-E$name=$value"); fi
done < <(env -0)
[ "$DISABLE_INSTALL_DEMO_CONFIG" = true ] ||
    { echo "expected DISABLE_INSTALL_DEMO_CONFIG=true: this stand-in has no demo configuration" >&2; exit 1; }
[ "$1" = opensearch ] || exec "$@"
exec opensearch "${options[@]}"
