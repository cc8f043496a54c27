#!/usr/bin/env bash
# Runs Maven over the plugin, or over the pom that MMSEARCH_POM names, with a JDK >= 21: `scripts/maven.sh -q -DskipTests package`.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=21
fail() { echo "mmsearch: $1" >&2; exit 1; }

# A JDK's feature version, or nothing: a runtime without javac will not do.
version_of() {
    [ -x "$1/bin/javac" ] || return 0
    "$1/bin/javac" -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p'
}
new_enough() { local version; version=$(version_of "$1"); [ -n "$version" ] && [ "$version" -ge "$oldest" ]; }

find_jdk() {
    local home
    for home in "${OPENSEARCH_JAVA_HOME:-}" "${JAVA_HOME:-}" $(ls -d /usr/lib/jvm/*/ 2>/dev/null | sort -rV) \
        "$(command -v javac >/dev/null && dirname "$(dirname "$(readlink -f "$(command -v javac)")")")"; do
        home=${home%/}
        if [ -n "$home" ] && new_enough "$home"; then echo "$home"; return; fi
    done
    return 1
}
install() { # as root on Debian: the first of the named packages that this release has
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    apt-get update -qq || return 1
    local package
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "mmsearch: installing $package" >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null && return
        fi
    done
    return 1
}

jdk=$(find_jdk) || { install openjdk-25-jdk-headless openjdk-21-jdk-headless && jdk=$(find_jdk); } ||
    fail "expected a JDK >= $oldest with javac in OPENSEARCH_JAVA_HOME, JAVA_HOME, /usr/lib/jvm or PATH, got none; repair: sudo apt-get install openjdk-21-jdk-headless where the release has it (Debian 13, Ubuntu 24.04), or any other JDK >= $oldest (Temurin's temurin-25-jdk) and JAVA_HOME set to it"
command -v mvn >/dev/null || install maven ||
    fail "expected Maven's mvn on PATH, got none; repair: sudo apt-get install maven"

export JAVA_HOME=$jdk
# Maven's own libraries are older than this JDK and are warned about at every start.
[ "$(version_of "$jdk")" -ge 24 ] && MAVEN_OPTS="--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow ${MAVEN_OPTS:-}"
export MAVEN_OPTS=${MAVEN_OPTS:-}
# What else differs with another OpenSearch stands beside it in plugin/versions.txt.
for argument in "$@"; do
    case $argument in
    -Dopensearch.version=*)
        line=$(grep -E "^${argument#*=}( |$)" plugin/versions.txt) ||
            fail "expected one of $(grep -v '^#' plugin/versions.txt | cut -d' ' -f1 | xargs) as opensearch.version, got ${argument#*=}; repair: a line for it in plugin/versions.txt"
        for pair in ${line#"${argument#*=}"}; do set -- "-D${pair%%=*}.version=${pair#*=}" "$@"; done
        ;;
    esac
done
patch=$(sed -nE 's/^plugin-patch = ([0-9]+)$/\1/p' pyproject.toml)
[ -n "$patch" ] || fail "expected a line 'plugin-patch = N' in pyproject.toml, got none; repair: that line under [tool.mmsearch]"
exec mvn -f "${MMSEARCH_POM:-plugin/pom.xml}" -Dplugin.patch="$patch" "$@"
