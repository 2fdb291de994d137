#!/usr/bin/env bash
# Shows a stream that moves between workers while its client notices nothing: a director, two
# workers that fail now and then, and a client, on the documented ports. Then checks that no token
# was lost.
#
# All that the programs say comes through one pipe, the bus, as "NAME LINE"; the demo is a loop over
# it. What happens next follows from such a line, never from the clock.
set -euo pipefail
export LC_ALL=C

usage() {
    cat <<'TEXT'
Usage: examples/connection_swap/run_demo.sh [--fast] [--verbose] [--build-dir DIR]

Installs what is missing, builds the programs, makes certificates, and runs a director, two workers
and a client. Workers simulate failures, and one is killed (kill -9) while it serves the stream. The
exit status is 0 if the client got every token once and in order, over one connection.

  --fast           failures follow each other quickly; about ten seconds instead of a minute
  --verbose        show each token three times: when it is sent, logged and printed
  --build-dir DIR  use the programs that were built in DIR; neither installs nor builds

Environment: CONNECTION_SWAP_CERTS_DIR (folder of the certificates, default: certs/ in the project),
NO_COLOR (no colours).
TEXT
}

say() {
    printf '%s%s%s\n' "$bold" "$*" "$plain"
}

fail() {
    printf 'run_demo: %s\n' "$*" >&2
    exit 1
}

fast=false verbose=false build=''
while [ $# -gt 0 ]; do
    case $1 in
    --fast) fast=true ;;
    --verbose) verbose=true ;;
    --build-dir)
        [ $# -ge 2 ] || {
            usage >&2
            exit 2
        }
        build=$(readlink -f "$2")
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        printf 'run_demo: unknown argument: %s\n' "$1" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
done

project=$(dirname "$(readlink -f "$0")")/../..
project=$(readlink -f "$project")
certs=$(readlink -m "${CONNECTION_SWAP_CERTS_DIR:-$project/certs}")
# Nothing but what is set below decides what the programs do.
for variable in "${!CONNECTION_SWAP_@}"; do
    unset "$variable"
done
export CONNECTION_SWAP_CERTS_DIR=$certs RUST_LOG=info

# 10 tokens a second for a minute: failures at 15, 40 and 55 s, and the kill at 25 s, when the first
# worker has recovered.
fail_after=15s recover_after=10s token_interval=100ms tokens=600
patience=60 # seconds without any line
limit=300   # seconds for everything after the build
if $fast; then
    fail_after=1500ms recover_after=1s token_interval=20ms tokens=400
fi
request=(--prompt prompt-demo --seed 7 --tokens "$tokens")

declare -A colour=([director]='' [worker-a]='' [worker-b]='' [client]='')
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' plain=$'\e[0m'
    colour=([director]=$'\e[36m' [worker-a]=$'\e[32m' [worker-b]=$'\e[33m' [client]=$'\e[35m')
fi

# ---- the ports ----

# Has anybody the UDP port on an address that ours would clash with?
port_is_taken() {
    local tables=(/proc/net/udp)
    [ ! -e /proc/net/udp6 ] || tables+=(/proc/net/udp6)
    awk -v port="$(printf '%04X' "$1")" '
        { split($2, local, ":") }
        local[2] == port && local[1] ~ /^(0100007F|0+)$/ { found = 1 }
        END { exit !found }' "${tables[@]}"
}

check_ports() {
    local entry
    for entry in 61000:director:USER 61001:director:MGMT 62001:worker-a:USER 63001:worker-a:MGMT \
        62002:worker-b:USER 63002:worker-b:MGMT; do
        IFS=: read -r port whose plane <<<"$entry"
        if port_is_taken "$port"; then
            fail "port $port/udp ($plane of $whose) is in use: end the program that has it" \
                "(an earlier demo?) and try again"
        fi
    done
}

# ---- what runs ----

work=$(mktemp -d)
declare -A pid=() generation=()

# Ends all that was started and is still there. The client goes first, so that nothing is left for
# the others to save.
clean_up() {
    local event name
    trap '' INT TERM HUP PIPE
    for name in client worker-a worker-b director; do
        [ -z "${pid[$name]:-}" ] || kill -TERM "${pid[$name]}" 2>/dev/null || true
    done
    while [ ${#pid[@]} -gt 0 ] && IFS= read -r -t 3 -u "$bus" event; do
        note_end "${event%% *}" "${event#* }" || true
    done
    for name in "${!pid[@]}"; do
        kill -KILL "${pid[$name]}" 2>/dev/null || true
    done
    rm -rf "$work"
}
mkfifo "$work/bus"
exec {bus}<>"$work/bus"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

# relay NAME TAG: the lines of a program to the bus, its end at last.
relay() {
    tee -a "$logs/$1.log" | sed -u "s/^/$1 /"
    printf '%s \001%s\n' "$1" "$2"
}

# start NAME COMMAND...: runs a program.
start() {
    local name=$1 out
    shift
    generation[$name]=$((${generation[$name]:-0} + 1))
    exec {out}> >(relay "$name" "${generation[$name]}" >&"$bus")
    "$@" >&"$out" 2>&1 </dev/null {bus}>&- &
    pid[$name]=$!
    exec {out}>&-
    [ "$name" = client ] || disown # so that the shell does not comment on its end
}

start_worker() {
    local label=$1 number=$2 failing=$3
    start "$label" env \
        CONNECTION_SWAP_WORKER_USER_ADDR=127.0.0.1:6200"$number" \
        CONNECTION_SWAP_WORKER_MGMT_ADDR=127.0.0.1:6300"$number" \
        CONNECTION_SWAP_WORKER_LABEL="$label" \
        CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:61001 \
        CONNECTION_SWAP_WORKER_TOKEN_INTERVAL="$token_interval" \
        CONNECTION_SWAP_WORKER_FAIL_AFTER="$failing" \
        CONNECTION_SWAP_WORKER_RECOVER_AFTER="$recover_after" \
        "$build/apps/worker/worker"
}

start_client() {
    start client env \
        CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:61000 \
        "$build/apps/client/client" "${request[@]}" "$@"
}

# note_end NAME LINE: true if the line tells that the program has ended; it is no longer there then.
note_end() {
    [[ $2 == $'\001'* ]] || return 1
    if [ "$2" = $'\001'"${generation[$1]}" ]; then
        unset "pid[$1]"
    fi
}

# ---- what is shown ----

declare -A told=()
quiet=false

# Tokens come three times; by default two of them are shown only when a worker begins.
show() {
    local kind=''
    if $quiet; then
        return
    fi
    case $2 in
    *' sending token') kind="$1 sending" ;;
    *' received token') kind="$1 receiving" ;;
    *' accepted handoff from director') unset "told[$1 sending]" ;;
    *' worker assigned to stream') unset "told[$1 receiving]" ;;
    esac
    if [ -n "$kind" ] && ! $verbose; then
        [ -z "${told[$kind]:-}" ] || return 0
        told[$kind]=yes
    fi
    printf '%s%-8s |%s %s\n' "${colour[$1]}" "$1" "$plain" "$2"
}

# The next line of anybody: sets `who` and `line`. Ends of programs have the line "ended".
take() {
    local event
    [ "$SECONDS" -lt "$limit" ] || fail "the demo takes too long; see $logs"
    IFS= read -r -t "$patience" -u "$bus" event || fail "nothing happens any more; see $logs"
    who=${event%% *} line=${event#* }
    if note_end "$who" "$line"; then
        if [ -n "${pid[$who]:-}" ]; then
            line='' # of the process before this one
        else
            line=ended
        fi
    elif [[ $line != $'\001'* ]]; then
        show "$who" "$line"
    fi
}

# await NAME PATTERN: takes lines until that one comes.
await() {
    local awaited=$1 pattern=$2
    while :; do
        take
        if [ "$who" = "$awaited" ] && [[ $line =~ $pattern ]]; then
            return
        fi
        [ "$line" != ended ] || fail "$who ended unexpectedly; see $logs/$who.log"
    done
}

await_worker() {
    await director "worker.label=$1 draining=false recovering=false worker reports$"
}

# The output of a build, on one line where that can be; nothing when there was nothing to do.
show_build() {
    local text one_line=false
    while IFS= read -r text; do
        case $text in
        '-- '* | *'] Re-checking globbed '* | *'] Re-running CMake'* | 'ninja: no work to do.') ;;
        '['*)
            if [ -t 1 ]; then
                printf '\r\e[K%.78s' "$text"
                one_line=true
            else
                printf '%s\n' "$text"
            fi
            ;;
        *) printf '%s\n' "$text" ;;
        esac
    done
    ! $one_line || printf '\r\e[K'
}

# ---- the demo ----

serving='' victim='' last_victim='' released=false swaps=0 killed=0 summary=''

kill_serving() {
    victim=$serving last_victim=$serving released=false
    say "--- kill -9 of $victim, which serves the stream"
    kill -KILL "${pid[$victim]}"
}

# When the killed worker has ended, and the stream has left it.
restart_victim() {
    if ! $released || [ -n "${pid[$victim]:-}" ]; then
        return
    fi
    say "--- starting $victim again"
    start_worker "$victim" "$([ "$victim" = worker-a ] && echo 1 || echo 2)" "$fail_after"
    victim=''
}

# What a line means for the demo.
react() {
    case $who:$line in
    client:'[connected]'*)
        serving=${line#*worker=}
        serving=${serving%% *}
        ;;
    client:'[summary]'*) summary=$line ;;
    worker-?:*' recovered; taking streams again')
        # Now somebody is there to take over. Once is enough, but a busy machine may have moved the
        # stream before the kill for another reason.
        if [ "$killed" -eq 0 ] && [ -z "$victim" ] && [ -n "$serving" ] &&
            [ "$serving" != "$who" ]; then
            kill_serving
        fi
        ;;
    director:*' asking client to retry on next worker')
        serving=''
        if [ -n "$victim" ]; then
            released=true
            restart_victim
        fi
        ;;
    director:*' stream moved')
        swaps=${line##*swaps.total=}
        swaps=${swaps%% *}
        if [[ $line == *"from=$last_victim reason=killed "* ]]; then
            killed=$((killed + 1))
        fi
        ;;
    worker-?:ended)
        if [ "$who" != "$victim" ]; then
            fail "$who ended unexpectedly; see $logs/$who.log"
        fi
        restart_victim
        ;;
    director:ended) fail "director ended unexpectedly; see $logs/director.log" ;;
    esac
}

run_stream() {
    local status=0
    start director env \
        CONNECTION_SWAP_DIRECTOR_USER_ADDR=127.0.0.1:61000 \
        CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:61001 \
        "$build/apps/director/director"
    await director 'listening$'
    start_worker worker-a 1 "$fail_after"
    await_worker worker-a
    start_worker worker-b 2 "$fail_after"
    await_worker worker-b
    start_client --output-text "$work/text"
    local client=${pid[client]}
    who='' line=''
    until [ "$who:$line" = client:ended ]; do
        take
        react
    done
    wait "$client" || status=$?
    return "$status"
}

# The same request once more, as fast as it goes and with a worker that never fails.
run_undisturbed() {
    local name status=0
    quiet=true
    for name in worker-a worker-b; do
        kill -TERM "${pid[$name]}"
        until [ -z "${pid[$name]:-}" ]; do
            take
        done
    done
    start_worker worker-a 1 0
    await_worker worker-a
    start_client --pace 1us --output-text "$work/undisturbed"
    local client=${pid[client]}
    await client '^ended$'
    wait "$client" || status=$?
    return "$status"
}

# check TEXT COMMAND...: one line of the result.
check() {
    local text=$1
    shift
    if "$@"; then
        printf '  ok      %s\n' "$text"
    else
        printf '  %sFAILED%s  %s\n' "$bold" "$plain" "$text"
        failed=true
    fi
}

is_undisturbed() {
    [ "$undisturbed_status" -eq 0 ] && cmp -s "$work/text" "$work/undisturbed"
}

summary_has() {
    local word
    for word in "$@"; do
        [[ " $summary " == *" $word "* ]] || return 1
    done
}

check_ports

if [ -z "$build" ]; then
    build=$project/build/demo
    "$project/scripts/install-dependencies.sh" build
    if [ ! -e "$build/build.ninja" ]; then
        say "Configuring $build"
        (cd "$project" && cmake --preset release -B "$build" -DBUILD_TESTING=OFF) \
            >"$work/configure" 2>&1 || {
            cat "$work/configure" >&2
            fail "the build could not be configured"
        }
    fi
    cmake --build "$build" --target director worker client 2>&1 | show_build ||
        fail "the build failed"
fi
"$project/scripts/make-certs.sh" --dir "$certs"

logs=$build/demo-logs
rm -rf "$logs"
mkdir -p "$logs"
SECONDS=0

say "Director on 127.0.0.1:61000, worker-a on 62001, worker-b on 62002; $tokens tokens, a failure" \
    "every $fail_after. Whole logs: $logs"
client_status=0
run_stream || client_status=$?
undisturbed_status=0
run_undisturbed || undisturbed_status=$?

failed=false
say "$summary"
check 'the client ended well' [ "$client_status" -eq 0 ]
check "all $tokens tokens came, each once and in order" \
    summary_has "tokens=$tokens" lost=0 duplicated=0 reordered=0
check 'over one connection, with one handshake' summary_has connections=1 handshakes=1
check "the stream moved at least three times (the director's counter: $swaps)" [ "$swaps" -ge 3 ]
check 'once because its worker was killed' [ "$killed" -ge 1 ]
check 'the text is that of an undisturbed run' is_undisturbed
! $failed
