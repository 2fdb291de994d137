#!/usr/bin/env bash
# Installs the packages that building or testing needs, and says nothing when none is missing.
#
# Debian 13 has all of them in its main suite. Debian 12 has ngtcp2 and nghttp3 only in its
# backports suite, which is added to apt's sources when no source names it yet; its address is the
# one that this machine's own source of the main suite uses.
set -euo pipefail
export LC_ALL=C

usage() {
    cat <<'TEXT'
Usage: scripts/install-dependencies.sh [--check] [build|test]

Installs what is missing on Debian 12 or 13, as root or with sudo.

  build    what building and the demo need (default)
  test     build, and what run_tests.sh needs
  --check  install nothing: name what is missing and exit 1 if anything is
TEXT
}

fail() {
    printf 'install-dependencies: %s\n' "$*" >&2
    exit 1
}

profile=build
check_only=false
for argument in "$@"; do
    case $argument in
    build | test) profile=$argument ;;
    --check) check_only=true ;;
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

system_id=unknown codename='' system_name='this system'
if [ -r /etc/os-release ]; then
    # shellcheck source=/dev/null
    . /etc/os-release
    system_id=${ID:-unknown}
    codename=${VERSION_CODENAME:-}
    system_name=${PRETTY_NAME:-$system_id}
fi

# Packages, with the lowest version that will do where the suite's own may be too old.
packages=(gcc libc6-dev cmake ninja-build pkgconf gnutls-bin
    libgnutls28-dev libuv1-dev libprotobuf-c-dev libmicrohttpd-dev protobuf-c-compiler
    protobuf-compiler)
quic_packages=(libngtcp2-dev=1.11~ libngtcp2-crypto-gnutls-dev=1.11~ libnghttp3-dev=1.8~)
if [ "$profile" = test ]; then
    packages+=(libcmocka-dev clang clang-format clang-tidy cppcheck shellcheck python3 binutils
        util-linux procps iproute2 mount)
    case $codename in
    bookworm) packages+=(libclang-rt-14-dev) ;;
    trixie) packages+=(libclang-rt-19-dev) ;;
    esac
fi

# For a system whose packages we do not know: everything is looked for where the build looks.
check_without_packages() {
    local missing=() need
    local modules=('libngtcp2 >= 1.11' 'libngtcp2_crypto_gnutls >= 1.11' 'libnghttp3 >= 1.8'
        'gnutls >= 3.7' 'libprotobuf-c >= 1.4' 'libuv >= 1.44' 'libmicrohttpd >= 0.9.75')
    local tools=(cc cmake ninja pkg-config certtool protoc protoc-gen-c)
    if [ "$profile" = test ]; then
        modules+=('cmocka >= 1.1')
        tools+=(clang clang-format clang-tidy cppcheck shellcheck python3 objdump ip unshare)
    fi
    for need in "${tools[@]}"; do
        command -v "$need" >/dev/null || missing+=("$need")
    done
    for need in "${modules[@]}"; do
        pkg-config --exists "$need" 2>/dev/null || missing+=("$need")
    done
    [ ${#missing[@]} -eq 0 ] && exit 0
    {
        printf 'install-dependencies: %s is not known here (Debian 12 and 13 are).\n' "$system_name"
        printf 'Please install these yourself; docs/dependencies.md tells what each is for:\n'
        printf '  %s\n' "${missing[@]}"
        printf 'Their names in Debian: %s\n' "${packages[*]} ${quic_packages[*]%%=*}"
    } >&2
    exit 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    check_without_packages
fi
case $system_id:$codename in
debian:bookworm | debian:trixie) ;;
*) check_without_packages ;;
esac

# Prints those of its arguments (name or name=version) that are not installed, without versions.
missing_of() {
    local installed need name version
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' \
        "${@%%=*}" 2>/dev/null || true)
    for need in "$@"; do
        name=${need%%=*}
        version=$(awk -v name="$name" '$1 == "installed" && $2 == name { print $3; exit }' \
            <<<"$installed")
        if [ -z "$version" ]; then
            printf '%s\n' "$name"
        elif [ "$need" != "$name" ] && ! dpkg --compare-versions "$version" ge "${need#*=}"; then
            printf '%s\n' "$name"
        fi
    done
}

mapfile -t missing < <(missing_of "${packages[@]}")
mapfile -t missing_quic < <(missing_of "${quic_packages[@]}")
# One test does without promtool, so the lack of it is no failure.
promtool_is_missing=false
if [ "$profile" = test ] && ! $check_only && ! command -v promtool >/dev/null; then
    promtool_is_missing=true
fi
if [ ${#missing[@]} -eq 0 ] && [ ${#missing_quic[@]} -eq 0 ] && ! $promtool_is_missing; then
    exit 0
fi
if $check_only; then
    printf 'missing: %s\n' "$(printf '%s ' "${missing[@]}" "${missing_quic[@]}" | xargs)" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo here; as root, please run" \
        "$0 $profile (missing: ${missing[*]} ${missing_quic[*]})"
    as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# A source of somebody else's that fails must not stop us, so its result counts only through what
# can be installed afterwards. apt-get waits for dpkg's lock by itself, but not for this one.
update_lists() {
    local deadline=$((SECONDS + 300))
    while ! apt update >"$log" 2>&1; do
        if ! grep -q 'Could not get lock' "$log" || [ "$SECONDS" -ge "$deadline" ]; then
            break
        fi
        sleep 2
    done
    grep -E '^(E|W|Err)' "$log" >"$log.update" || true
    mv "$log.update" "$log"
}

# install_packages [-t SUITE] PACKAGE...
install_packages() {
    local from=()
    if [ "$1" = -t ]; then
        from=("$1" "$2")
        shift 2
    fi
    printf 'Installing %s\n' "$*"
    if ! apt install --no-install-recommends "${from[@]}" "$@" >>"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        fail "could not install the packages above"
    fi
}

# promtool's package brings a server, which is neither to be started now nor at the next boot.
install_promtool() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2064 # the values of now are meant
        trap "rm -f '$log'; ${as_root[*]} rm -f '$policy'" EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    printf 'Installing prometheus, for promtool\n'
    if apt install --no-install-recommends prometheus >>"$log" 2>&1 </dev/null; then
        if command -v systemctl >/dev/null; then
            "${as_root[@]}" systemctl disable prometheus >/dev/null 2>&1 || true
        fi
    else
        printf 'install-dependencies: no promtool, so the test that needs it is skipped\n' >&2
    fi
}

# "address source-file" of this machine's own main suite.
main_archive() {
    # shellcheck disable=SC2016 # apt-get replaces these, not the shell
    apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(COMPONENT) $(REPO_URI) $(SOURCESENTRY)' \
        'Created-By: Packages' 2>/dev/null |
        awk -v codename="$codename" '$1 == codename && $2 == "Debian" && $3 == "main" &&
            $4 !~ /^cdrom:/ { sub(/:[0-9]+$/, "", $5); print $4, $5; exit }'
}

# The key that the given source file names for the given address; the system's key ring otherwise.
keyring_of() {
    local address=${1%/} file=$2 keyring=''
    case $file in
    *.sources)
        keyring=$(awk -v RS= -v address="$address" 'index($0, address) {
            n = split($0, line, "\n")
            for (i = 1; i <= n; i++) {
                if (tolower(line[i]) ~ /^signed-by:[ \t]*\//) {
                    sub(/^[^:]*:[ \t]*/, "", line[i])
                    print line[i]
                    exit
                }
            } }' "$file" 2>/dev/null || true)
        ;;
    *) keyring=$(grep -F "$address" "$file" 2>/dev/null |
        sed -n 's/^[^#]*signed-by=\([^] ]*\).*/\1/p' | head -n 1 || true) ;;
    esac
    if [ -z "$keyring" ] && [ -r /usr/share/keyrings/debian-archive-keyring.gpg ]; then
        keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    fi
    printf '%s' "$keyring"
}

# Makes apt know the backports suite.
add_backports() {
    local suite=$codename-backports Dir_list='' Dir_parts='' archive address file keyring target
    eval "$(apt-config shell Dir_list Dir::Etc::sourcelist/f Dir_parts Dir::Etc::sourceparts/d)"
    if grep -hsE "^[^#]*[[:space:]]$suite([[:space:]]|\$)" "$Dir_list" "${Dir_parts%/}"/*.list \
        "${Dir_parts%/}"/*.sources >/dev/null; then
        return
    fi
    archive=$(main_archive)
    if [ -z "$archive" ]; then # no lists have been fetched yet
        update_lists
        archive=$(main_archive)
    fi
    if [ -z "$archive" ]; then
        cat "$log" >&2
        fail "apt knows no source of Debian's $codename main suite, so $suite cannot be derived"
    fi
    read -r address file <<<"$archive"
    keyring=$(keyring_of "$address" "$file")
    target=${Dir_parts%/}/rpcnet-backports.list
    printf 'Adding %s to the sources of apt (%s)\n' "$suite" "$target"
    printf 'deb %s%s %s main\n' "${keyring:+[signed-by=$keyring] }" "$address" "$suite" |
        "${as_root[@]}" tee "$target" >/dev/null
    "${as_root[@]}" chmod 644 "$target"
}

release=()
if [ ${#missing_quic[@]} -gt 0 ] && [ "$codename" = bookworm ]; then
    add_backports
    release=(-t "$codename-backports")
fi
update_lists
# The main suite goes first, so that backports only serve what they are needed for.
if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
fi
if [ ${#missing_quic[@]} -gt 0 ]; then
    install_packages "${release[@]}" "${missing_quic[@]}"
fi
if $promtool_is_missing; then
    install_promtool
fi

mapfile -t missing < <(missing_of "${packages[@]}" "${quic_packages[@]}")
[ ${#missing[@]} -eq 0 ] || fail "still missing or too old: ${missing[*]}"
