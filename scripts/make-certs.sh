#!/usr/bin/env bash
# Makes the certificates and the secret that a cluster on this machine needs, and says nothing when
# all of them are there and good for another two weeks.
#
#   ca.crt, ca.key              the cluster's own authority; clients trust ca.crt
#   server.crt, server.key      what the director shows to clients; it names no role
#   director.crt, director.key  the director inside the cluster: rpcnet://role/director
#   LABEL.crt, LABEL.key        a worker inside the cluster: rpcnet://role/worker/LABEL
#   client.crt, client.key      a program that calls workers directly: rpcnet://role/client
#   cluster.secret              32 random bytes as hexadecimal digits, and perhaps those before them
set -euo pipefail
export LC_ALL=C

renew_before_days=14

usage() {
    cat <<'TEXT'
Usage: scripts/make-certs.sh [--dir DIR] [--days N] [--worker LABEL]... [--new-secret] [--force]

Makes what is missing in DIR, no longer valid, or valid for less than 14 more days.

  --dir DIR       where to put them (default: certs/ in the project)
  --days N        how long new certificates are valid, 15 to 3650 (default: 365)
  --worker LABEL  a worker's identity beside those of worker-a and worker-b; may be repeated
  --new-secret    make a new secret and keep the present one on its second line, for programs that
                  are started from now on to know both
  --force         make everything anew, also the authority and the secret
TEXT
}

fail() {
    printf 'make-certs: %s\n' "$*" >&2
    exit 1
}

wrong_usage() {
    printf 'make-certs: %s\n' "$*" >&2
    usage >&2
    exit 2
}

directory=$(dirname "$(readlink -f "$0")")/../certs
days=365
workers=(worker-a worker-b)
force=false
new_secret=false
while [ $# -gt 0 ]; do
    case $1 in
    --dir | --days | --worker)
        [ $# -ge 2 ] || wrong_usage "$1 needs a value"
        case $1 in
        --dir) directory=$2 ;;
        --days) days=$2 ;;
        --worker) workers+=("$2") ;;
        esac
        shift 2
        ;;
    --new-secret)
        new_secret=true
        shift
        ;;
    --force)
        force=true
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "unknown argument: $1" ;;
    esac
done

if ! [[ $days =~ ^[1-9][0-9]{0,3}$ ]] || [ "$days" -le "$renew_before_days" ] ||
    [ "$days" -gt 3650 ]; then
    wrong_usage "--days takes 15 to 3650"
fi
for label in "${workers[@]}"; do
    [[ $label =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$ ]] ||
        wrong_usage "a label is 1 to 63 of A-Z a-z 0-9 . _ - and begins with a letter or digit"
    case $label in
    ca | server | director | client) wrong_usage "the label $label is taken by a file of that name" ;;
    esac
done
command -v certtool >/dev/null || fail "certtool is missing; run scripts/install-dependencies.sh"

umask 077
mkdir -p "$directory" || fail "cannot make $directory"
directory=$(cd "$directory" && pwd)
exec 9>"$directory/.lock" || fail "cannot write in $directory"
flock 9 # two of us at a time would mix their pairs

rm -rf "$directory"/.new.* # of one that was killed
new=$(mktemp -d "$directory/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT

# certtool with its chatter kept back until it fails.
certtool_quietly() {
    certtool "$@" >"$new/output" 2>&1 || {
        cat "$new/output" >&2
        fail "certtool failed"
    }
}

# put NAME...: moves finished files into their place.
put() {
    local name
    for name in "$@"; do
        mv -f "$new/$name" "$directory/$name"
    done
}

# Does the pair NAME belong together, was it signed by our authority, is it valid long enough, and
# does it carry exactly the subject alternative names that the rest gives (none: '')?
is_good() {
    local name=$1 info key_id until
    shift
    local crt=$directory/$name.crt key=$directory/$name.key
    [ -s "$crt" ] && [ -s "$key" ] || return 1
    chmod 600 "$key"
    info=$(certtool --certificate-info --infile "$crt" 2>/dev/null) || return 1
    until=$(sed -n 's/^[[:space:]]*Not After: //p' <<<"$info" | head -n 1)
    until=$(date -d "$until" +%s 2>/dev/null) || return 1
    [ "$until" -gt $(($(date +%s) + renew_before_days * 86400)) ] || return 1
    key_id=$(certtool --pubkey-info --load-privkey "$key" 2>/dev/null |
        sed -n 's/^[[:space:]]*\(sha256:\)/\1/p') || return 1
    [ -n "$key_id" ] && grep -qF "$key_id" <<<"$info" || return 1
    certtool --verify --load-ca-certificate "$directory/ca.crt" --infile "$crt" \
        >/dev/null 2>&1 || return 1
    [ "$(sed -nE 's/^[[:space:]]*((DNSname|IPAddress|URI): .*)/\1/p' <<<"$info")" = \
        "$(printf '%s\n' "$@")" ]
}

# make_pair NAME: a new key and a certificate after the template on standard input; the authority
# signs it, or it itself when it is the authority.
make_pair() {
    local name=$1 signer=(--generate-certificate --load-ca-certificate "$directory/ca.crt"
        --load-ca-privkey "$directory/ca.key")
    [ "$name" = ca ] && signer=(--generate-self-signed)
    cat >"$new/template"
    printf 'expiration_days = %s\nsigning_key\n' "$days" >>"$new/template"
    certtool_quietly --generate-privkey --key-type ecdsa --curve secp256r1 --outfile "$new/$name.key"
    certtool_quietly "${signer[@]}" --load-privkey "$new/$name.key" --template "$new/template" \
        --hash SHA256 --outfile "$new/$name.crt"
    chmod 600 "$new/$name.key"
    chmod 644 "$new/$name.crt"
    put "$name.key" "$name.crt"
    made+=("$name")
}

# identity NAME URI PURPOSE...: a certificate of the cluster with that role.
identity() {
    if $force || ! is_good "$1" "URI: $2"; then
        {
            printf 'cn = "%s"\nuri = "%s"\n' "$1" "$2"
            printf '%s\n' "${@:3}"
        } >"$new/identity"
        make_pair "$1" <"$new/identity"
    fi
}

made=()
if $force || ! is_good ca ''; then
    make_pair ca <<'TEXT'
cn = "RpcNet cluster authority"
ca
path_len = 0
cert_signing_key
TEXT
fi
if $force || ! is_good server 'DNSname: localhost' 'IPAddress: 127.0.0.1' 'IPAddress: ::1'; then
    make_pair server <<'TEXT'
cn = "localhost"
dns_name = "localhost"
ip_address = "127.0.0.1"
ip_address = "::1"
tls_www_server
TEXT
fi
both_ends=(tls_www_server tls_www_client) # of the connections between director and workers
identity director rpcnet://role/director "${both_ends[@]}"
for label in "${workers[@]}"; do
    identity "$label" "rpcnet://role/worker/$label" "${both_ends[@]}"
done
identity client rpcnet://role/client tls_www_client

secret=$directory/cluster.secret
pattern=$'^([0-9a-f]{64})(\n[0-9a-f]{64})?$'
known=
if ! $force && [[ "$(tr '\0' x 2>/dev/null <"$secret")" =~ $pattern ]]; then
    known=${BASH_REMATCH[1]}
fi
if $new_secret || [ -z "$known" ]; then
    {
        printf '%s\n' "$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')"
        [ -z "$known" ] || printf '%s\n' "$known"
    } >"$new/cluster.secret"
    put cluster.secret
    made+=(cluster.secret)
fi
chmod 600 "$secret"

[ ${#made[@]} -eq 0 ] || printf 'Made in %s: %s\n' "$directory" "${made[*]}"
