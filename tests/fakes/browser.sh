#!/usr/bin/env bash
# Makes sure of Debian's Chromium and its driver for the browser tests. As root it installs them; anyone else is told.
set -euo pipefail
have() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }
have && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq chromium chromium-driver >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; }
fi
have || {
    echo "expected chromium and chromedriver for the browser tests, found none; repair: sudo apt-get install chromium chromium-driver" >&2
    exit 1
}
