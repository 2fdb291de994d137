#!/usr/bin/env bash
# install-dependencies.sh against stand-ins for dpkg-query, apt-get and sudo that write down how
# they were called: what it asks for, and that it asks for nothing when all is there.
set -euo pipefail
script=$(dirname "$(readlink -f "$0")")/../../scripts/install-dependencies.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    [ ! -e "$work/calls" ] || cat "$work/calls" >&2
    exit 1
}

if ! grep -qE '^VERSION_CODENAME=(bookworm|trixie)$' /etc/os-release; then
    echo 'not Debian 12 or 13: nothing to test here'
    exit 0
fi
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

# The stand-ins keep what is installed in $work/installed as "name version".
mkdir "$work/bin" "$work/sources"
export WORK=$work
cat >"$work/bin/dpkg-query" <<'TEXT'
#!/bin/bash
sed 's/^/installed /' "$WORK/installed"
TEXT
cat >"$work/bin/apt-get" <<'TEXT'
#!/bin/bash
case $1 in
indextargets)
    [ ! -e "$WORK/lists" ] || cat "$WORK/lists"
    exit
    ;;
esac
printf '%s\n' "$*" >>"$WORK/calls"
case " $* " in
*' update '*)
    {
        echo "$CODENAME Other main http://third.invalid/ x:1"
        echo "$CODENAME-updates Debian main http://updates.invalid/ x:1"
    } >"$WORK/lists"
    echo "$CODENAME Debian main http://archive.invalid/debian/ $WORK/sources/main.list:1" >>"$WORK/lists"
    exit 100
    ;;
*' install '*)
    for word in "$@"; do
        case $word in
        lib*ngtcp2* | libnghttp3*) [ -e "$WORK/old" ] || echo "$word 1.11.0-1~bpo12+1" ;;
        *) echo "$word 1" ;;
        esac
    done >>"$WORK/installed"
    ;;
esac
TEXT
cat >"$work/bin/apt-config" <<'TEXT'
#!/bin/sh
echo "Dir_list='$WORK/sources.list'; Dir_parts='$WORK/sources/'"
TEXT
cat >"$work/bin/sudo" <<'TEXT'
#!/bin/sh
echo "sudo $1" >>"$WORK/sudo"
exec "$@"
TEXT
printf '#!/bin/sh\necho 1000\n' >"$work/bin/id"
chmod +x "$work/bin/"*
export CODENAME=$codename PATH=$work/bin:$PATH

# Nothing is installed, no lists are there, and an update that partly fails.
: >"$work/installed"
echo "deb [signed-by=/key.gpg] http://archive.invalid/debian/ $codename main" >"$work/sources/main.list"
"$script" build >"$work/output" 2>&1 || fail "build: $(cat "$work/output")"
grep -q 'install.* gcc .*protobuf-c-compiler' "$work/calls" || fail 'the tools were not installed'
grep -q 'libcmocka-dev' "$work/calls" && fail 'the profile build installs a test tool'
grep -q -- '--no-install-recommends' "$work/calls" || fail 'recommended packages were installed'
grep -q 'DPkg::Lock::Timeout' "$work/calls" || fail "does not wait for dpkg's lock"
grep -q sudo "$work/sudo" || fail 'did not use sudo'
added=$work/sources/rpcnet-backports.list
if [ "$codename" = bookworm ]; then
    grep -q "install.*-t bookworm-backports.* libngtcp2-dev .*libnghttp3-dev" "$work/calls" ||
        fail 'ngtcp2 and nghttp3 were not asked for from the backports'
    grep 'gcc' "$work/calls" | grep -q -- '-t' && fail 'other packages came from the backports'
    [ "$(cat "$added")" = \
        'deb [signed-by=/key.gpg] http://archive.invalid/debian/ bookworm-backports main' ] ||
        fail "the source is: $(cat "$added")"
else
    [ ! -e "$added" ] || fail 'backports were added where none are needed'
fi

# Now everything is there: no call, no word.
rm "$work/calls"
output=$("$script" build 2>&1) || fail 'a second run failed'
[ -z "$output" ] || fail "a second run said: $output"
[ ! -e "$work/calls" ] || fail 'a second run called apt-get'
"$script" --check build || fail '--check found something missing'

# The test profile needs more.
output=$("$script" --check test 2>&1) && fail '--check missed the test tools'
case $output in *libcmocka-dev*cppcheck*) ;; *) fail "--check test said: $output" ;; esac
[ ! -e "$work/calls" ] || fail '--check called apt-get'

# A package that is too old, and stays so, is an error; the source is not added twice.
sed -i 's/^libngtcp2-dev .*/libngtcp2-dev 1.10.0-9/' "$work/installed"
touch "$work/old"
"$script" build >"$work/output" 2>&1 && fail 'was content with libngtcp2 1.10'
grep -q 'too old: libngtcp2-dev' "$work/output" || fail "said: $(cat "$work/output")"
if [ "$codename" = bookworm ]; then
    [ "$(wc -l <"$added")" -eq 1 ] || fail 'the source was added twice'
fi

# Neither root nor sudo.
rm "$work/bin/sudo"
mkdir "$work/plain"
for tool in bash env awk sed grep dirname readlink mktemp rm cat dpkg xargs; do
    ln -s "$(command -v "$tool")" "$work/plain/$tool"
done
PATH=$work/bin:$work/plain "$script" build >"$work/output" 2>&1 && fail 'did without root'
grep -q 'neither root nor sudo' "$work/output" || fail "said: $(cat "$work/output")"
