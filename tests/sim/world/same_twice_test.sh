#!/usr/bin/env bash
# same_twice_test.sh RUN: the same seeds give the same worlds, byte for byte, alone or side by side.
set -euo pipefail
run=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

digests() {
    "$run" --seeds 10 --from 1000 --digest "$@" 2>/dev/null | grep '^seed='
}
digests --jobs 1 >"$work/alone"
digests --jobs 2 >"$work/beside"
[ "$(wc -l <"$work/alone")" -eq 10 ]
[ "$(cut -d' ' -f2 "$work/alone" | sort -u | wc -l)" -eq 10 ] # different seeds differ
diff "$work/alone" "$work/beside"
