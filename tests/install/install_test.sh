#!/usr/bin/env bash
# install_test.sh BUILD-DIR COMPILER LIBDIR: installs the build, moves it to another place, and
# builds a foreign project against it, once with pkg-config and once with CMake's find_package.
set -euo pipefail
build=$1 cc=$2 libdir=$3
here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
prefix=$work/moved
export PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

read -r -a cflags < <(pkg-config --cflags rpcnet)
read -r -a libs < <(pkg-config --libs rpcnet)
version=$(pkg-config --modversion rpcnet)

# Each public header stands alone, in strict C and, where there is such a compiler, in C++.
mapfile -d '' headers < <(find "$prefix/include" -name '*.h' -print0)
[ ${#headers[@]} -gt 0 ] || fail 'no header is installed'
for header in "${headers[@]}"; do
    name=${header#"$prefix/include/"}
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" \
        >"$work/header.c"
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -fsyntax-only "$work/header.c" ||
        fail "$name does not stand alone"
    if command -v c++ >/dev/null; then
        c++ -x c++ -std=c++17 -Wall -Wextra -Werror "${cflags[@]}" -fsyntax-only "$work/header.c" ||
            fail "$name cannot be used from C++"
    fi
done

"$cc" -std=c11 -Wall -Werror "${cflags[@]}" -o "$work/by-pkg-config" "$here/foreign/main.c" \
    "${libs[@]}"
"$work/by-pkg-config" >/dev/null || fail 'the program built with pkg-config'

cmake -G Ninja -S "$here/foreign" -B "$work/build" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix" -DRPCNET_WANTED="$version" >"$work/log" 2>&1 || {
    cat "$work/log"
    fail 'find_package(rpcnet)'
}
cmake --build "$work/build" >"$work/log" 2>&1 || {
    cat "$work/log"
    fail 'the build with find_package(rpcnet)'
}
"$work/build/foreign" >/dev/null || fail 'the program built with CMake'
