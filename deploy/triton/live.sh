#!/bin/sh
# Alive is who encodes or is too busy to answer in time; what answers by an error does not recover by itself.
. /opt/mmsearch/encodes.sh
encodes
code=$?
[ "$code" = 28 ] || [ "$code" = 0 ] || exit 1
