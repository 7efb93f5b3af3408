#!/bin/bash
# The checks that need no running server.  Prints what it finds, and fails
# when that is anything.
#
#     lint.sh [C FILE...]      the named files, or all; after "make"

set -u

cd "$(dirname "$0")/.." || exit 1

build=${LOYALTY_BUILD:-build}
found=$(mktemp)
trap 'rm -f "$found"' EXIT

if [ $# -gt 0 ]; then
    files=("$@")
else
    files=(src/*/*.c)
fi

text=(src/*/*.[ch] src/*/*.lua)
perl=(conf/*/*.pl bin/lib/*/*.pm t/lib/*/*.pm tests/*.pl t/*.t tests/lua/*.t tests/lua/*.pm
      tests/verify/*.t tests/verify/*.pm)
shell=(build-aux/*.sh conf/*.sh conf/*/*.sh .ci/run)

for file in bin/* tests/*/*; do
    case $(head -c 40 "$file" 2> /dev/null | tr -d '\0' | head -n 1) in
    *perl*) perl+=("$file") ;;
    *bash*|*/sh) shell+=("$file") ;;
    esac
done


say() {
    sed "s|^|$1: |" >> "$found"
}


# ---- what the text looks like ----

awk 'length > 80 { print FILENAME ":" FNR }' "${text[@]}" \
    | say "over 80 columns"
grep -nP '\t|\s$' "${text[@]}" | say "tab or space at the end"

# comments and strings go first, so that an address is no comment
awk '
    {
        line = $0
        gsub(/"([^"\\]|\\.)*"/, "", line)
        gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", line)
        if (inside && sub(/^.*\*\//, "", line)) inside = 0
        if (inside) next
        if (sub(/\/\*.*$/, "", line)) inside = 1
        if (line ~ /\/\//) print FILENAME ":" FNR
    }
    FNR == 1 { inside = 0 }
' src/*/*.[ch] | say "a // comment"

awk '
    FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ && start {
        if (FNR - start > 100) print FILENAME ":" start
        start = 0
    }
' src/*/*.c | say "a function over 100 lines"

awk 'FNR == 701 { print FILENAME }' src/*/*.[ch] | say "over 700 lines"


# ---- who may know what ----

grep -n '#include.*ngx_' src/core/*.[ch] src/*/loyalty_*.[ch] \
    | say "a pure file sees nginx"

# nginx's headers define what the system's then declare
awk '
    FNR == 1 { seen = 0 }
    /^#include/ && !seen++ && !/ngx_config|"ngx_http_loyalty_/ {
        print FILENAME ":" FNR
    }
' src/*/ngx_*.[ch] | say "a header before nginx's"

hiredis=$(grep -l '#include.*hiredis' src/*/*.[ch])
if [ "$(echo "$hiredis" | wc -l)" -gt 1 ]; then
    echo "$hiredis" | say "more than one file includes hiredis"
fi

basename -a src/*/*.c | sort | uniq -d | say "object name used twice"

grep -nE '\b(math\.random|randomkey|RANDOMKEY|SRANDMEMBER|os\.)|["'\'']TIME["'\'']' \
    src/*/*.lua | grep -v '^src/draws/draws.lua:' \
    | say "randomness or a clock in Lua"

grep -nE '\bassert *\(' src/*/*.c | say "an assert"


# ---- no state of ours outside configuration and connections ----

grep -nE '^ *static +(volatile +)?(u?int[0-9a-z_]*|size_t|time_t|ngx_u?int_t|ngx_msec_t|ngx_pool_t *\*|void *\*|u_char *\*) *[a-z_]+( *=|;|\[)' \
    src/*/*.c | say "a mutable global"

if [ -f "$build/ngx_http_loyalty_module.so" ]; then
    nm "$build/ngx_http_loyalty_module.so" \
    | awk '$2 ~ /^[bB]$/ && $3 ~ /loyalty/ && $3 !~ /_module_ctx$/ {
               print $3
           }' \
    | say "a mutable global"
fi


# ---- compilers ----

includes=$(printf 'include %s/Makefile\nprint:\n\t@echo $(ALL_INCS)\n' \
                  "$build" | make -s -f - print 2> /dev/null \
           | sed "s#-I *src/#-isystem /usr/share/nginx/src/src/#g")

# shellcheck disable=SC2086
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I FILE \
    gcc -c -o /dev/null -O2 -std=gnu11 -Wall -Wextra -Werror \
        -Wno-unused-parameter -Wpointer-arith -Wshadow \
        $includes FILE 2>&1 | say gcc

luacheck --no-color -q "$build/loyalty.lua" 2>&1 \
    | grep -E '^ .*[0-9]+:[0-9]+:' | say luacheck
luacheck --no-color -q --std ngx_lua+luajit lua-examples 2>&1 \
    | grep -E '^ .*[0-9]+:[0-9]+:' | say luacheck

for file in "${perl[@]}"; do
    [ ! -f "$file" ] || perl -It/lib -Ibin/lib -Itests/lua -Itests/verify -c "$file" 2>&1 \
        | grep -v ' syntax OK$' | say perl
done

for file in "${shell[@]}"; do
    [ ! -f "$file" ] || shellcheck -f gcc -S warning "$file" | say shellcheck
done

cat "$found"
[ ! -s "$found" ]
