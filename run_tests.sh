#!/usr/bin/env bash
# Installs what is missing, builds the project in several ways and runs its tests.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")" || exit 1
export LC_ALL=C.UTF-8

usage() {
    cat <<'TEXT'
Usage: ./run_tests.sh [--all] [--preset PRESET] [--label REGEX]

Checks format, scripts and layers, runs all tests in a debug build and under the address and
undefined-behaviour sanitizers, runs each fuzz target for some seconds, and compiles everything
with clang.

  --all            also: a release build, the thread sanitizer, clang-tidy, cppcheck, and the long
                   forms of the tests (environment RPCNET_TEST_ALL=1)
  --preset PRESET  only the tests, in this one of the presets dev, asan, release, tsan, fuzz
  --label REGEX    only the tests with such a label, e.g. unit, layering, e2e

The exit status is 0 if everything passed. The last line counts the tests.
TEXT
}

all=false preset='' label=''
while [ $# -gt 0 ]; do
    case $1 in
    --all) all=true ;;
    --preset | --label)
        [ $# -ge 2 ] || {
            usage >&2
            exit 2
        }
        case $1 in
        --preset) preset=$2 ;;
        --label) label=$2 ;;
        esac
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
case $preset in
'' | dev | asan | release | tsan | fuzz) ;;
*)
    usage >&2
    exit 2
    ;;
esac

if $all; then
    export RPCNET_TEST_ALL=1
fi
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}

jobs=$(nproc)
tests=$((2 * jobs)) # at the same time: most of those that take long wait for events
passed=0 failed=0 skipped=0
summary=()
launcher=() # what ctest is run under
no_tests=--no-tests=error
if [ -n "$label" ]; then
    no_tests=--no-tests=ignore # a label may be missing in one of the builds
fi
# The tests of scripts and sources have the same result in every build, so one runs them. So does
# one those with machines of their own, which take long, unless everything is asked for.
once='layering|scripts'
$all || once="$once|hosts"
compiled=("$no_tests" -LE "^($once)\$")

# step NAME COMMAND...: runs a command that is no test run; its failure counts as one.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    if "$@" </dev/null; then
        summary+=("ok      $name ($((SECONDS - start)) s)")
        return 0
    fi
    summary+=("FAILED  $name ($((SECONDS - start)) s)")
    failed=$((failed + 1))
    return 1
}

# build NAME CONFIGURE-ARGUMENT...: configures and builds in build/NAME.
build() {
    local name=$1
    shift
    step "$name: configure" cmake "$@" && step "$name: build" cmake --build "build/$name" -j "$jobs"
}

# run NAME CTEST-ARGUMENT...: runs the tests of build/NAME and adds them up.
run() {
    local name=$1 start=$SECONDS log=build/$1/ctest.log status ran bad gone
    shift
    printf '\n== %s: test\n' "$name"
    "${launcher[@]}" ctest --test-dir "build/$name" -j "$tests" --timeout 300 --output-on-failure \
        ${label:+-L "$label"} "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r bad ran < <(sed -nE \
        's/.* tests passed, ([0-9]+) tests failed out of ([0-9]+).*/\1 \2/p' "$log") ||
        bad=0 ran=0
    gone=$(grep -cE '\*\*\*Skipped|\*\*\*Not Run \(Disabled\)' "$log")
    passed=$((passed + ran - bad - gone))
    skipped=$((skipped + gone))
    failed=$((failed + bad))
    if [ "$status" -eq 0 ]; then
        summary+=("ok      $name: $((ran - gone)) tests ($((SECONDS - start)) s)")
        return
    fi
    summary+=("FAILED  $name: $bad of $ran tests ($((SECONDS - start)) s)")
    [ "$bad" -gt 0 ] || failed=$((failed + 1)) # ctest itself failed, or there were no tests
}

# The thread sanitizer cannot map its shadow where addresses are spread too widely.
run_tsan() {
    local only=()
    [ -n "$label" ] || only=(-L threads)
    if setarch -R true 2>/dev/null; then
        launcher=(setarch -R)
    fi
    run tsan --no-tests=ignore "${only[@]}"
    launcher=()
}

# Only the targets are built; their label is fuzz.
run_fuzz() {
    local reason='clang has no libFuzzer (Debian: libclang-rt-<version>-dev)'
    if [[ -n $label && ! fuzz =~ $label ]]; then
        return
    fi
    if ! printf 'int LLVMFuzzerTestOneInput(void);int LLVMFuzzerTestOneInput(void){return 0;}' |
        clang -x c -fsanitize=fuzzer -o /dev/null - 2>/dev/null; then
        summary+=("skipped fuzz: $reason")
        skipped=$((skipped + 1))
        return
    fi
    if step 'fuzz: configure' cmake --preset fuzz &&
        step 'fuzz: build' cmake --build build/fuzz -j "$jobs" --target fuzzers; then
        run fuzz "$no_tests" -L '^fuzz$'
    fi
}

main() {
    step dependencies scripts/install-dependencies.sh test || return

    if [ "$preset" = fuzz ]; then
        run_fuzz
        return
    fi
    if [ -n "$preset" ]; then
        build "$preset" --preset "$preset" || return
        case $preset in
        tsan) run_tsan ;;
        *) run "$preset" "$no_tests" ;;
        esac
        return
    fi

    step format scripts/check-format.sh
    step scripts scripts/lint.sh shell
    step layers tests/layering/check.py source .

    if build dev --preset dev; then
        run dev "$no_tests"
    fi
    if build asan --preset asan; then
        run asan "${compiled[@]}"
    fi
    run_fuzz
    build clang -S . -B build/clang -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug

    $all || return
    if build release --preset release; then
        run release "${compiled[@]}"
    fi
    if build tsan --preset tsan; then
        run_tsan
    fi
    step clang-tidy scripts/lint.sh clang-tidy
    step cppcheck scripts/lint.sh cppcheck
}

main

printf '\n== summary (%s s)\n' "$SECONDS"
printf '%s\n' "${summary[@]}"
if [ "$skipped" -gt 0 ]; then
    printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
else
    printf '%s passed, %s failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
