#!/bin/sh
# The fast tests and the build of one target in a clone that is alone: no ../shared, no data, no download.
#
# Copies what git would commit to an empty folder and uses the .venv of this checkout there. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
venv=$PWD/.venv
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
mkdir "$place/clone"
git ls-files -z --cached --others --exclude-standard --deduplicate |
    tar --create --null --files-from=- --ignore-failed-read --file=- 2>/dev/null |
    tar --extract --file=- --directory="$place/clone"
ln -s "$venv" "$place/clone/.venv"
cd "$place/clone"
git init --quiet . && git add . # some tests ask git what is tracked
unset BMZOO_DATA BMZOO_STORE BMZOO_SCHEDULER
export BMZOO_OFFLINE=1 XDG_CACHE_HOME="$place/cache"
.venv/bin/python -m pytest -q "$@"
.venv/bin/python -m pytest -q -m toolchain -k a_clone_alone_builds_a_target "$@" tests/test_real.py
