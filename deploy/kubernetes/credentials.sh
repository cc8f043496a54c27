#!/bin/sh
# Writes the password of the user `ingest` for deploy/kubernetes/operator, which makes the secret of it.
set -eu
folder="$(dirname "$0")/operator/credentials"
[ ! -e "$folder/password" ] ||
    { echo "mmsearch: expected no password in $folder, got one; repair: keep it, or delete it first" >&2; exit 1; }
umask 077
mkdir -p "$folder"
# The last four are the four kinds that OpenSearch asks for.
printf '%saA1-' "$(openssl rand -base64 24)" >"$folder/password"
echo "the password of ingest in $folder"
