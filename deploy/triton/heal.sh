#!/bin/sh
# The health check of a container whose engine restarts only what has ended: the third failure in a row, after a
# success, ends tritonserver; `restart: unless-stopped` starts it again, with every model's process.
# No answer in time is unhealthy and ends nothing: the server may only be busy.
. /opt/mmsearch/encodes.sh
# Of this start alone, told apart by when the first process began.
state=/tmp/mmsearch-health.$(cut -d ' ' -f 22 /proc/1/stat)
encodes
code=$?
if [ "$code" = 0 ]; then
    echo 0 >"$state"
    exit 0
fi
[ -e "$state" ] && [ "$code" != 28 ] || exit 1
failures=$(($(cat "$state") + 1))
echo "$failures" >"$state"
[ "$failures" -ge 3 ] || exit 1
signal=TERM
[ "$failures" = 3 ] || signal=KILL
for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null)" != tritonserver ] || kill -"$signal" "${process#/proc/}"
done
echo "mmsearch: expected the models to encode, got $failures failures; tritonserver is sent SIG$signal" >&2
exit 1
