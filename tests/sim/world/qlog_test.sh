#!/usr/bin/env bash
# qlog_test.sh RUN: a world on record is the world without, byte for byte, and its connections have
# a file at each end.
set -euo pipefail
run=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

world() {
    "$run" --seeds 2 --from 1000 --digest "$@" 2>/dev/null | grep '^seed='
}
world >"$work/alone"
world --qlog "$work/qlog" >"$work/recorded"
diff "$work/alone" "$work/recorded"
cp -r "$work/qlog" "$work/first"
world --qlog "$work/qlog" >/dev/null # takes the place of the first
diff -r "$work/first" "$work/qlog"

[ "$(find "$work/qlog" -mindepth 1 -maxdepth 1 | wc -l)" -eq 2 ]
for seed in 1000 1001; do
    cd "$work/qlog/seed-$seed"
    pairs=0
    for file in *.sqlog; do
        head -c 100 "$file" | grep -aq $'^\x1e{"qlog_format":"JSON-SEQ"'
        tail -c 3 "$file" | tr '\n' ';' | grep -q '}};$'
        id=${file#*-}
        if [ "${id%-*}-client" = "${id%.sqlog}" ] && grep -aq transport:packet_received "$file"; then
            ls ./*"-${id%-*}-server.sqlog" >/dev/null
            pairs=$((pairs + 1))
        fi
    done
    [ "$pairs" -ge 3 ]
done
