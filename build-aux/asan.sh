#!/bin/bash
# nginx with the module in it, under ASan and UBSan.
#
#     asan.sh OUT JOBS         leaves OUT/nginx
#
# The source is that of the nginx package installed here, fetched through
# apt with a list of deb-src lines of our own: the system's stays as it is.
# The module is static: nginx's reload and ASan disagree about the global
# variables that every dynamic module shares with nginx.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
jobs=$2

src=$out/source


fetch() {
    local apt=$out/apt
    local key=/usr/share/keyrings/debian-archive-keyring.gpg

    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/parts" "$apt/src"

    apt-get indextargets --format \
        '$(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' \
    | sort -u | while read -r origin uri release component; do
        if [ "$origin" = Debian ]; then
            echo "deb-src [signed-by=$key] $uri $release $component"
        fi
    done > "$apt/sources.list"

    set -- -qq -o Dir::Etc::SourceList="$apt/sources.list" \
           -o Dir::Etc::SourceParts="$apt/parts" \
           -o Dir::State::Lists="$apt/lists" -o APT::Sandbox::User=

    apt-get "$@" update
    cd "$apt/src"

    # best the very version; a mirror may not have it (any more)
    dpkg-query -W -f '${source:Version}\n' nginx > "$apt/versions"
    apt-cache "$@" showsrc nginx | sed -n 's/^Version: //p' \
        | sort -rV >> "$apt/versions"

    while read -r version; do
        if apt-get "$@" source --download-only "nginx=$version" \
                >> "$out/fetch.log" 2>&1
        then
            dpkg-source --no-check --no-copy -x \
                nginx_"${version#*:}".dsc "$src" >> "$out/fetch.log"
            echo "nginx $version"
            rm -rf "$apt"
            return
        fi
    done < "$apt/versions"

    cat "$out/fetch.log" >&2
    echo "asan.sh: apt has no source of nginx" >&2
    exit 1
}


configure() {
    cd "$src"

    "$root/build-aux/keep.sh" save "$out/objs"

    ./configure --with-cc="${CC:-gcc}" --builddir="$out/objs" \
        --prefix="$out" --with-compat --with-debug --with-pcre-jit \
        --with-http_ssl_module --with-http_v2_module \
        --with-http_stub_status_module --with-http_realip_module \
        --with-http_auth_request_module --with-http_sub_module \
        --with-http_addition_module --with-threads \
        --without-http_memcached_module --without-http_grpc_module \
        --without-http_autoindex_module \
        --without-http_charset_module --without-http_browser_module \
        --without-http_userid_module --without-http_gzip_module \
        --without-http_empty_gif_module --without-http_geo_module \
        --with-cc-opt="$cc_opt" --with-ld-opt="$sanitize" \
        --add-module="$root" > "$out/configure.log" 2>&1 \
    || { tail -n 15 "$out/configure.log" >&2; exit 1; }

    "$root/build-aux/keep.sh" restore "$out/objs"
}


# nginx copies from NULL when there is nothing to copy, and knows it
sanitize="-fsanitize=address,undefined -fno-sanitize=nonnull-attribute"

# every allocation from a pool on its own, so that ASan sees its ends
cc_opt="$sanitize -O1 -g -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1"
cc_opt="$cc_opt -DNGX_HAVE_NONALIGNED=0 -Wno-error"

if [ ! -d "$src" ]; then
    echo "fetching the source of nginx"
    (fetch)
fi

state=$(cd "$root" && { cat config config.make "$0"; ls src/*/*.[ch]; \
        grep -h '^ngx_module_t .*{' src/*/*.c; } | sha256sum)

if [ "$state" != "$(cat "$out/state" 2> /dev/null)" ]; then
    echo "configuring nginx with ASan and UBSan"
    (configure)
    echo "$state" > "$out/state"
fi

echo "building it"
make -s -j"$jobs" -f "$out/objs/Makefile" -C "$src" binary \
     > "$out/make.log" 2>&1 || { tail -n 40 "$out/make.log" >&2; exit 1; }
ln -sf objs/nginx "$out/nginx"
