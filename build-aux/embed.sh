#!/bin/sh
# The Lua library as text and as a C header.
#
#     embed.sh SRC OUT
#
# SRC/redis/prelude.lua, SRC/draws/draws.lua, SRC/redis/engine.lua,
# request.lua, codes.lua and split.lua, SRC/games/*.lua (each game in a block of
# its own), SRC/redis/reversal.lua, admin.lua and the other files of SRC/draws
# (each in a block: a chunk of Lua has at most 200 locals) make
# OUT/loyalty.lua.  @H@ stands for the library's own name in it: the first 12 hex digits of SHA-256 of the text with
# @H@ still in place, so that two versions live side by side in one Redis.
# OUT/loyalty_library.h holds the same bytes for C.

set -eu
LC_ALL=C
export LC_ALL

src=$1
out=$2

tmp=$out/loyalty_library.$$
mkdir -p "$out"
trap 'rm -f "$tmp".*' EXIT

# what the games stand on
set -- "$src/redis/prelude.lua" "$src/draws/draws.lua" \
       "$src/redis/engine.lua" "$src/redis/request.lua" "$src/redis/codes.lua" \
       "$src/redis/split.lua"

for file; do
    if [ ! -f "$file" ]; then
        echo "embed.sh: $file is missing" >&2
        exit 1
    fi
done

{
    echo '#!lua name=loyalty_@H@'
    cat "$@"

    # a game in several files: GAME.lua, then GAME-*.lua in the same block

    for file in "$src"/games/*.lua; do
        case "${file##*/}" in
        *-*)
            continue
            ;;
        esac

        if [ -f "$file" ]; then
            echo 'do'
            cat "$file"

            for part in "${file%.lua}"-*.lua; do
                if [ -f "$part" ]; then
                    cat "$part"
                fi
            done

            echo 'end'
        fi
    done

    for file in "$src"/redis/reversal.lua "$src"/redis/admin.lua \
                "$src"/draws/*.lua
    do
        case $file in
        */draws.lua)
            ;;
        *)
            echo 'do'
            cat "$file"
            echo 'end'
            ;;
        esac
    done
} > "$tmp.source"

hash=$(sha256sum < "$tmp.source" | cut -c1-12)

sed "s/@H@/$hash/g" "$tmp.source" > "$tmp.lua"
len=$(wc -c < "$tmp.lua")

{
    echo "/* written by build-aux/embed.sh from the Lua files of src */"
    echo
    echo "#define LOYALTY_LIBRARY_HASH  \"$hash\""
    echo "#define LOYALTY_LIBRARY_LEN   $((len))"
    echo
    echo "static const unsigned char  loyalty_library[] = {"
    od -An -v -tu1 "$tmp.lua" \
        | awk '{ for (i = 1; i <= NF; i++) printf "%s,", $i; print "" }'
    echo "};"
} > "$tmp.h"

mv "$tmp.lua" "$out/loyalty.lua"

# the same library keeps its time, so that nothing is built again for it
if ! cmp -s "$tmp.h" "$out/loyalty_library.h"; then
    mv "$tmp.h" "$out/loyalty_library.h"
fi
