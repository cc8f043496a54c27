#!/bin/sh
# Ready is who encodes.
. /opt/mmsearch/encodes.sh
encodes || exit 1
