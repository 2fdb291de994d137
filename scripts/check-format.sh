#!/usr/bin/env bash
# Names the C files that clang-format would change. Versions of clang-format disagree with each
# other, so only version 14 decides; with another one the files are named, but it is no failure.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'TEXT'
Usage: scripts/check-format.sh [--fix] [FILE...]

Checks the C files of the project, or the given ones, against .clang-format.

  --fix   format them in place
TEXT
}

fix=false
case ${1-} in
--fix)
    fix=true
    shift
    ;;
-h | --help)
    usage
    exit 0
    ;;
-*)
    usage >&2
    exit 2
    ;;
esac

clang_format=$(command -v clang-format-14 || command -v clang-format) || {
    echo "check-format: clang-format is missing; run scripts/install-dependencies.sh test" >&2
    exit 1
}
version=$("$clang_format" --version | sed -nE 's/.*version ([0-9]+).*/\1/p')

if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -d '' files < <(find apps examples include src tests bench tools -name '*.[ch]' \
        -print0 2>/dev/null | sort -z)
fi
[ ${#files[@]} -gt 0 ] || exit 0

if $fix; then
    "$clang_format" -i -- "${files[@]}"
    exit 0
fi

wrong=0
for file in "${files[@]}"; do
    if ! "$clang_format" -- "$file" | cmp -s - "$file"; then
        printf '%s: not as clang-format %s writes it\n' "$file" "$version"
        wrong=$((wrong + 1))
    fi
done
if [ "$wrong" -gt 0 ] && [ "$version" != 14 ]; then
    echo "check-format: clang-format 14 decides; this is version $version, so nothing failed"
    exit 0
fi
[ "$wrong" -eq 0 ] || {
    printf 'check-format: %s of %s files differ; scripts/check-format.sh --fix formats them\n' \
        "$wrong" "${#files[@]}"
    exit 1
}
