#!/usr/bin/env bash
# make-certs.sh: what it makes, that it keeps what is good and that it replaces what is not.
set -euo pipefail
make_certs=$(dirname "$(readlink -f "$0")")/../../scripts/make-certs.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
certs=$work/certs

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

expect() { # expect WANTED GOT WHAT
    [ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"
}

made() { # made ARGUMENT...: the names that a run says it made
    "$make_certs" --dir "$certs" "$@" | sed 's/.*: //'
}

info() {
    certtool --certificate-info --infile "$certs/$1.crt" 2>/dev/null
}

expect 'ca server director worker-a worker-b client cluster.secret' "$(made)" 'the first run'
expect '' "$("$make_certs" --dir "$certs" 2>&1)" 'a run with nothing to do'

expect 700 "$(stat -c %a "$certs")" 'mode of the directory'
for name in ca server director worker-a worker-b client; do
    expect 600 "$(stat -c %a "$certs/$name.key")" "mode of $name.key"
    certtool --verify --load-ca-certificate "$certs/ca.crt" --infile "$certs/$name.crt" \
        >/dev/null 2>&1 || fail "$name.crt is not signed by ca.crt"
done
expect 600 "$(stat -c %a "$certs/cluster.secret")" 'mode of cluster.secret'
grep -qxE '[0-9a-f]{64}' "$certs/cluster.secret" || fail 'cluster.secret is not 64 digits'

info server | grep -q 'DNSname: localhost' || fail 'server.crt lacks localhost'
info server | grep -q 'IPAddress: ::1' || fail 'server.crt lacks ::1'
info server | grep -q 'TLS WWW Client' && fail 'server.crt can be a client'
info server | grep -q rpcnet:// && fail 'server.crt names a role'
info director | grep -q 'URI: rpcnet://role/director$' || fail 'director.crt lacks its role'
info worker-b | grep -q 'URI: rpcnet://role/worker/worker-b$' || fail 'worker-b.crt lacks its role'
info worker-b | grep -q 'DNSname' && fail 'worker-b.crt has a DNS name'
info worker-b | grep -q 'TLS WWW Client' || fail 'worker-b.crt cannot be a client'
info worker-b | grep -q 'TLS WWW Server' || fail 'worker-b.crt cannot be a server'

info client | grep -q 'URI: rpcnet://role/client$' || fail 'client.crt lacks its role'
info client | grep -q 'TLS WWW Client' || fail 'client.crt cannot be a client'
info client | grep -q 'TLS WWW Server' && fail 'client.crt can be a server'

expect gpu-7 "$(made --worker gpu-7)" 'one more worker'

# A folder of before there was a client's pair.
rm "$certs"/client.*
before=$(cat "$certs"/*.crt "$certs"/*.key "$certs/cluster.secret" | sha256sum)
expect client "$(made)" 'only the missing pair'
mkdir "$work/aside"
mv "$certs"/client.* "$work/aside"
expect "$before" "$(cat "$certs"/*.crt "$certs"/*.key "$certs/cluster.secret" | sha256sum)" \
    'what was there stays'
mv "$work/aside"/* "$certs"

rm "$certs/worker-a.key"
expect worker-a "$(made)" 'a lost key'
cp "$certs/worker-a.key" "$certs/worker-b.key"
expect worker-b "$(made)" 'the key of another certificate'
cp "$certs/worker-a.crt" "$certs/worker-b.crt"
cp "$certs/worker-a.key" "$certs/worker-b.key"
expect worker-b "$(made)" 'a pair with another role'
echo short >"$certs/cluster.secret"
expect cluster.secret "$(made)" 'a damaged secret'
chmod 644 "$certs/director.key"
expect '' "$(made)" 'a key that all may read'
expect 600 "$(stat -c %a "$certs/director.key")" 'its mode afterwards'
rm "$certs/ca.crt"
expect 'ca server director worker-a worker-b client' "$(made)" 'a lost authority'

# Certificates for 15 days are good now and are due tomorrow.
rm -rf "$certs"
made --days 15 >/dev/null
expect '' "$(made)" 'valid for 15 days'
mkdir "$work/bin"
cat >"$work/bin/date" <<'TEXT'
#!/bin/sh
case $1 in +%s) exec /bin/date -d '2 days' +%s ;; esac
exec /bin/date "$@"
TEXT
chmod +x "$work/bin/date"
expect 'ca server director worker-a worker-b client' "$(PATH=$work/bin:$PATH made)" 'valid for 13 days'

first=$(cat "$certs/cluster.secret")
expect cluster.secret "$(made --new-secret)" 'a new secret'
expect "$first" "$(sed -n 2p "$certs/cluster.secret")" 'the secret before the new one'
grep -qvxE '[0-9a-f]{64}' "$certs/cluster.secret" && fail 'two secrets are not 64 digits each'
second=$(sed -n 1p "$certs/cluster.secret")
[ "$second" != "$first" ] || fail 'the new secret is the old one'
expect '' "$(made)" 'with two secrets'
expect cluster.secret "$(made --new-secret)" 'another new secret'
expect "$second" "$(sed -n '2,$p' "$certs/cluster.secret")" 'only the one before it is kept'

secret=$(cat "$certs/cluster.secret")
expect 'ca server director worker-a worker-b client cluster.secret' "$(made --force)" 'with --force'
[ "$secret" != "$(cat "$certs/cluster.secret")" ] || fail '--force kept the secret'
everything=$("$make_certs" --dir "$certs" --force 2>&1)
case $everything in *"$(cat "$certs/cluster.secret")"* | *BEGIN*) fail 'a secret was printed' ;; esac

for bad in '--days 14' '--days x' '--days 3651' '--worker ../x' '--worker ca' '--worker client' '--worker' '--what'; do
    # shellcheck disable=SC2086 # option and value
    if "$make_certs" --dir "$certs" $bad >/dev/null 2>&1; then
        fail "accepted: $bad"
    fi
done

# Two at the same time: one makes, the other keeps.
rm -rf "$certs"
made >"$work/one" &
made >"$work/two"
wait
expect 1 "$(cat "$work/one" "$work/two" | grep -c server)" 'runs that made certificates'
expect '' "$(made)" 'after two at the same time'
expect '' "$(find "$certs" -name '.new.*')" 'leftovers'
