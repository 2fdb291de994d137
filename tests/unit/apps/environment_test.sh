#!/usr/bin/env bash
# Compares docs/environment.md and the manual pages with what the programs say of their settings, and
# looks whether the formatter has anything to say of the pages.
#
#   environment_test.sh [--fix] PROGRAM...
#
# What a program says stands between "<!-- NAME -->" and "<!-- end -->" of docs/environment.md, and
# between `.\" options` and `.\" end` of man/NAME.1; --fix writes it anew.
set -euo pipefail

top=$(cd "$(dirname "$(readlink -f "$0")")/../../.." && pwd)
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

# fill FILE START END TEXT: puts TEXT between the lines START and END.
fill() {
    if ! grep -qxF -- "$2" "$1" || ! grep -qxF -- "$3" "$1"; then
        echo "environment_test: $(basename "$1") has no lines '$2' and '$3'" >&2
        exit 1
    fi
    START=$2 END=$3 awk -v text="$4" '
        $0 == ENVIRON["END"] { inside = 0 }
        !inside { print }
        $0 == ENVIRON["START"] {
            inside = 1
            while ((getline line < text) > 0) { print line }
        }' "$1" >"$work/next"
    mv "$work/next" "$1"
}

mkdir "$work/docs" "$work/man"
cp "$top/docs/environment.md" "$work/docs"
pages=(docs/environment.md)
for program in "$@"; do
    name=$(basename "$program")
    cp "$top/man/$name.1" "$work/man"
    pages+=("man/$name.1")
    "$program" --help-markdown >"$work/text"
    fill "$work/docs/environment.md" "<!-- $name -->" "<!-- end -->" "$work/text"
    "$program" --help-man >"$work/text"
    fill "$work/man/$name.1" '.\" options' '.\" end' "$work/text"
done

status=0
for page in "${pages[@]}"; do
    if $fix; then
        cp "$work/$page" "$top/$page"
    elif ! diff -u "$top/$page" "$work/$page"; then
        echo "environment_test: $page is out of date; run tests/unit/apps/environment_test.sh --fix with the programs" >&2
        status=1
    fi
done

# Without a formatter there is nobody to ask.
for page in "${pages[@]:1}"; do
    if command -v groff >/dev/null; then
        groff -man -ww -Tutf8 -z "$work/$page" 2>"$work/warnings"
        if [ -s "$work/warnings" ]; then
            cat "$work/warnings" >&2
            status=1
        fi
    fi
    if command -v mandoc >/dev/null; then
        mandoc -Tlint -Wwarning "$work/$page" || status=1
    fi
done
exit $status
