#!/bin/sh
# Builds blst, the library that checks a beacon's BLS signatures, as OUT/libblst.a
# with its headers.  Debian packages none; its C sources are in an npm package,
# which is taken as it is: nothing of it is run but its own build.sh.
#
#     blst.sh OUT

set -eu

package=@chainsafe/blst@0.2.11
hash=511c8e2eae46b71068c626ce9ddda980bc9d0b2d146736e220805cb1102f1b10
hash=${hash}2c4738d92f4e13b107f0464cf96a9854ddad5e6de46832623f1c7c8c0a215242

out=$1

if [ -f "$out/libblst.a" ] && [ -f "$out/blst.h" ]; then
    exit 0
fi

mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

(cd "$work" && npm pack --silent "$package" > /dev/null)

tar=$(echo "$work"/*.tgz)
echo "$hash  $tar" | sha512sum --quiet --check

tar -xzf "$tar" -C "$work" package/blst

(cd "$work" && sh package/blst/build.sh > build.log 2>&1) || {
    cat "$work/build.log" >&2
    exit 1
}

cp "$work"/package/blst/bindings/blst.h "$work"/package/blst/bindings/blst_aux.h \
   "$work"/package/blst/LICENSE "$out"
mv "$work/libblst.a" "$out/libblst.a"
