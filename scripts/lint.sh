#!/usr/bin/env bash
# Runs the static checkers over the whole project. Versions of clang-tidy and cppcheck find different
# things, so only version 14 and version 2.10 decide; with others the findings are shown, but they are
# no failure.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'TEXT'
Usage: scripts/lint.sh [shell] [clang-tidy] [cppcheck]

Runs the named checkers, or all of them.

  shell       shellcheck over the scripts
  clang-tidy  after .clang-tidy, with the compile commands of the preset dev
  cppcheck    without what scripts/cppcheck-suppressions.txt lists
TEXT
}

checkers=()
for argument in "$@"; do
    case $argument in
    shell | clang-tidy | cppcheck) checkers+=("$argument") ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done
[ ${#checkers[@]} -gt 0 ] || checkers=(shell clang-tidy cppcheck)

jobs=$(nproc)
clang_tidy=$(command -v clang-tidy-14 || command -v clang-tidy || echo clang-tidy)
database=build/dev/compile_commands.json

# The checkers read how each file is compiled, and what is generated must be there.
prepare() {
    local output
    output=$(cmake --preset dev 2>&1 && cmake --build --preset dev -j "$jobs" 2>&1) || {
        printf '%s\n' "$output" >&2
        echo 'lint: the preset dev does not build' >&2
        exit 1
    }
}

lint_shell() {
    local files
    mapfile -d '' files < <(find . -path ./build -prune -o -path ./.git -prune -o -type f \
        \( -name '*.sh' -o -path ./.ci/run \) -print0 | sort -z)
    shellcheck -x -- "${files[@]}"
}

# The compiled files of the project itself, not the generated ones.
sources() {
    sed -nE 's/^ *"file": "(.*)",?$/\1/p' "$database" | grep -v "^$PWD/build/" | sort -u
}

lint_clang_tidy() {
    sources | xargs -d '\n' -n 4 -P "$jobs" "$clang_tidy" -p build/dev --quiet \
        --extra-arg=-Wno-unknown-warning-option
}

# What is generated (mutants of the sources, say) need not exist, and is left out.
lint_cppcheck() {
    local own=build/cppcheck/compile_commands.json
    mkdir -p build/cppcheck
    python3 -c 'import json, sys
kept = [entry for entry in json.load(open(sys.argv[1])) if not entry["file"].startswith(sys.argv[2])]
json.dump(kept, open(sys.argv[3], "w"))' "$database" "$PWD/build/" "$own"
    cppcheck --project="$own" --cppcheck-build-dir=build/cppcheck \
        --enable=warning,style,performance,portability --std=c11 --inline-suppr --quiet \
        --suppressions-list=scripts/cppcheck-suppressions.txt --error-exitcode=1 -j "$jobs" \
        --template='{file}:{line}: {severity}: {message} [{id}]'
}

# decides CHECKER: is this the version whose findings are failures? Otherwise says so.
decides() {
    local version wanted
    case $1 in
    shell) return 0 ;;
    clang-tidy)
        wanted=14
        version=$("$clang_tidy" --version | sed -nE 's/.*version ([0-9]+).*/\1/p')
        ;;
    cppcheck)
        wanted=2.10
        version=$(cppcheck --version | sed -nE 's/^Cppcheck ([0-9]+\.[0-9]+).*/\1/p')
        ;;
    esac
    # No version: the checker is missing or broken, which is a failure.
    [ -n "$version" ] && [ "$version" != "$wanted" ] || return 0
    echo "lint: $1 $wanted decides; this is version $version, so nothing failed"
    return 1
}

case " ${checkers[*]} " in
*' clang-tidy '* | *' cppcheck '*) prepare ;;
esac

failed=()
for checker in "${checkers[@]}"; do
    printf -- '-- %s\n' "$checker"
    case $checker in
    shell) lint_shell ;;
    clang-tidy) lint_clang_tidy ;;
    cppcheck) lint_cppcheck ;;
    esac || ! decides "$checker" || failed+=("$checker")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: findings of %s\n' "${failed[*]}" >&2
    exit 1
fi
