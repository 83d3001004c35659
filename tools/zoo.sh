#!/bin/sh
# The zoo in CI: restore stored steps, build everything, compare with the manifest of the last release.
#
#   ZOO_CACHE      folder that outlives the job: build/store is restored from and kept in it as store.tar
#   ZOO_BASELINE   manifest of the last release, a file or URL; nothing is compared where it is empty
#   ZOO_JOBS       steps at a time (2)
#   ZOO_ALLOW_REMOVED=yes   targets may disappear
#
# BMZOO_DATA, BMZOO_STORE and TPUC_ROOT reach ./doit as they are. Exit status: 0, or that of the first of build
# and comparison that failed; both are always run. Left behind: build/zoo.json, SHA256SUMS, RESULTS.md,
# verify.xml, diff.json and diff.xml.
set -eu
cd "$(dirname "$0")/.."

jobs=${ZOO_JOBS:-2}
case $jobs in '' | *[!0-9]*)
    echo "zoo.sh: ZOO_JOBS: not a number: $jobs" >&2
    exit 2
    ;;
esac

archive=${ZOO_CACHE:+$ZOO_CACHE/store.tar}
if [ -n "$archive" ] && [ -f "$archive" ]; then
    # A cache is there to save time: one that cannot be read costs time only. Damaged entries are not used.
    mkdir -p build
    tar -xf "$archive" -C build || echo "zoo.sh: ZOO_CACHE: cannot be restored, going on without: $archive" >&2
fi

status=0
./doit -n "$jobs" zoo || status=$?

if [ -n "$archive" ] && [ -d build/store ]; then
    # Whole or not at all: another job may be restoring it.
    mkdir -p "$ZOO_CACHE"
    part=$archive.$$
    if tar -cf "$part" -C build store && mv -f "$part" "$archive"; then :; else
        rm -f "$part"
        echo "zoo.sh: ZOO_CACHE: cannot be kept: $archive" >&2
    fi
fi

if [ -z "${ZOO_BASELINE:-}" ]; then
    echo "zoo.sh: no ZOO_BASELINE, so nothing is compared" >&2
elif [ -f build/zoo.json ]; then
    set -- "$ZOO_BASELINE" build/zoo.json
    [ "${ZOO_ALLOW_REMOVED:-}" != yes ] || set -- --allow-removed "$@"
    compared=0
    ./doit diff "$@" || compared=$?
    [ "$status" -ne 0 ] || status=$compared
fi
exit "$status"
