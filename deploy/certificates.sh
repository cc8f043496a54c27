#!/bin/sh
# An authority and the certificates of the compose services, for trying things out: deploy/certificates.sh [FOLDER]
# Where people shop, use the certificates of your own authority under the same names.
#   authority/   its key: mounted nowhere, keep it elsewhere
#   opensearch/  dashboards/  what each of the servers reads: ca.pem, node.pem, node.key
#   admin/       what changes passwords: ca.pem, admin.pem, admin.key; mounted in no server
#   client/      ca.pem, for whoever connects
set -eu
reader=1000 # the user that the official images run as; a key is its alone
fail() { echo "mmsearch: $1" >&2; exit 1; }
folder=${1:-"$(dirname "$0")/certificates"}
[ ! -e "$folder/client" ] || fail "expected no certificates in $folder, got some; delete them first"
user=$(id -u)
[ "$user" = 0 ] || [ "$user" = "$reader" ] ||
    fail "expected root or user $reader, who can give the servers' user their keys, got user $user; repair: sudo $0 $folder"
mkdir -p "$folder"
cd "$folder"
umask 077
mkdir -p authority opensearch dashboards admin client

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=mmsearch compose" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout authority/ca.key -out authority/ca.pem 2>/dev/null
issue() { # FOLDER NAME SUBJECT HOSTS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$1/$2.key" \
        -out "$1/$2.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n' "$4" |
        openssl x509 -req -in "$1/$2.csr" -CA authority/ca.pem -CAkey authority/ca.key -CAcreateserial -days 90 \
            -extfile /dev/stdin -out "$1/$2.pem" 2>/dev/null
    rm "$1/$2.csr"
    cp authority/ca.pem "$1/ca.pem"
    chmod 644 "$1/$2.pem"
    chmod 600 "$1/$2.key"
}
issue opensearch node opensearch DNS:opensearch,DNS:localhost,IP:127.0.0.1
issue dashboards node dashboards DNS:dashboards,DNS:localhost,IP:127.0.0.1
issue admin admin admin DNS:admin
cp authority/ca.pem client/ca.pem
chmod 644 ./*/ca.pem
chmod 755 . opensearch dashboards admin client
[ "$user" != 0 ] || chown "$reader" opensearch/node.key dashboards/node.key admin/admin.key
echo "certificates in $folder, valid for 90 days"
