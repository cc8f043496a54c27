#!/bin/sh
# An authority and the certificates of the compose services, for trying things out: deploy/certificates.sh [FOLDER]
# Where people shop, use the certificates of your own authority under the same names.
set -eu
folder=${1:-"$(dirname "$0")/certificates"}
mkdir -p "$folder"
cd "$folder"
[ ! -e ca.pem ] || { echo "mmsearch: expected no certificates in $folder, got some; delete them first" >&2; exit 1; }
umask 077

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=mmsearch compose" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem 2>/dev/null
issue() { # NAME HOSTS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" \
        2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n' "$2" |
        openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -extfile /dev/stdin \
            -out "$1.pem" 2>/dev/null
    rm "$1.csr"
}
issue opensearch DNS:opensearch,DNS:localhost,IP:127.0.0.1
issue admin DNS:admin
# The containers run as other users than you.
chmod 644 ca.pem opensearch.pem opensearch.key
chmod 755 .
echo "certificates in $folder, valid for 90 days"
