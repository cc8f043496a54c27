#!/bin/sh
# Writes .env from .env.example with two random passwords: deploy/environment.sh
# With --new-passwords it gives a .env that is there new ones and leaves the rest.
set -eu
cd "$(dirname "$0")/.."
fail() { echo "mmsearch: $1" >&2; exit 1; }
from=.env.example
case ${1:-} in
"") [ ! -e .env ] || fail "expected no .env, got one; repair: edit it, or $0 --new-passwords" ;;
--new-passwords)
    [ -e .env ] || fail "expected .env, got none; repair: $0"
    from=.env
    ;;
*) fail "expected --new-passwords or nothing, got $1" ;;
esac
umask 077
# Through the shell's own printf and a pipe: a password stands in no command line.
while IFS= read -r line; do
    case $line in
    OPENSEARCH_INITIAL_ADMIN_PASSWORD=* | MMSEARCH_DASHBOARDS_SERVER_PASSWORD=*)
        random=$(openssl rand -base64 24)
        # The last four are the four kinds that are asked for.
        printf '%s=%saA1-\n' "${line%%=*}" "$random"
        ;;
    *) printf '%s\n' "$line" ;;
    esac
done <"$from" >.env.new
mv .env.new .env
echo "passwords in .env"
