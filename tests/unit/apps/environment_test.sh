#!/usr/bin/env bash
# Compares docs/environment.md with what the programs say of their settings.
#
#   environment_test.sh [--fix] PROGRAM...
#
# The table of a program stands between "<!-- NAME -->" and "<!-- end -->"; --fix writes it anew.
set -euo pipefail

page=$(dirname "$(readlink -f "$0")")/../../../docs/environment.md
fix=false
if [ "${1-}" = --fix ]; then
    fix=true
    shift
fi
[ $# -gt 0 ] || {
    echo "usage: environment_test.sh [--fix] PROGRAM..." >&2
    exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$page" "$work/page"
for program in "$@"; do
    name=$(basename "$program")
    grep -qx "<!-- $name -->" "$work/page" || {
        echo "environment_test: docs/environment.md has no place for $name" >&2
        exit 1
    }
    "$program" --help-markdown >"$work/table"
    awk -v start="<!-- $name -->" -v table="$work/table" '
        $0 == "<!-- end -->" { inside = 0 }
        !inside { print }
        $0 == start {
            inside = 1
            while ((getline line < table) > 0) { print line }
        }' "$work/page" >"$work/next"
    mv "$work/next" "$work/page"
done

if $fix; then
    cp "$work/page" "$page"
elif ! diff -u "$page" "$work/page"; then
    echo "environment_test: docs/environment.md is out of date; run tests/unit/apps/environment_test.sh --fix with the programs" >&2
    exit 1
fi
