#!/bin/bash
# Runs the configure of Debian's nginx-dev for our module, with the flags
# that nginx itself was built with.
#
#     configure.sh OUT
#
# nginx-dev's tree is read only for us: everything is written to OUT.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
nginx_src=/usr/share/nginx/src

if [ ! -f $nginx_src/conf_flags ]; then
    echo "configure.sh: nginx-dev is not installed: run 'make deps' or" \
         "apt-get install nginx-dev" >&2
    exit 1
fi

cd "$root"

cc_opt="$(dpkg-buildflags --get CFLAGS) -fPIC"
cc_opt="$cc_opt $(dpkg-buildflags --get CPPFLAGS)"
ld_opt="$(dpkg-buildflags --get LDFLAGS) -fPIC"

"$root/build-aux/keep.sh" save "$out"

cd $nginx_src

# shellcheck source=/dev/null
. ./conf_flags

log=$out/configure.log

if ! ./configure \
        --with-cc-opt="$cc_opt" \
        --with-ld-opt="$ld_opt" \
        "${NGX_CONF_FLAGS[@]}" \
        --add-dynamic-module="$root" \
        --builddir="$out" > "$log" 2>&1
then
    tail -n 15 "$log" >&2
    echo "configure.sh: failed, all of it is in $log" >&2
    exit 1
fi

"$root/build-aux/keep.sh" restore "$out"
