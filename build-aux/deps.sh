#!/bin/bash
# Installs the Debian packages that are missing, and does nothing at all
# when none is.
#
#     deps.sh GROUP...         GROUP: build, run, test, lint, asan, fuzz, bench,
#                              stats, node, browser
#
# Needs root or sudo only when something is missing.  Servers that come with
# the packages are not started: the demo and the tests run their own.

set -eu

wanted=
for group; do
    case $group in
    build)
        more="gcc libc6-dev make nginx nginx-dev libhiredis-dev
              libjansson-dev libpcre2-dev libssl-dev"
        ;;
    run)
        more="nginx redis-server tzdata curl perl procps openssl"
        ;;
    test)
        more="nginx redis-server tzdata curl perl procps libcmocka-dev
              libnginx-mod-nchan libnginx-mod-http-lua lua-nginx-redis
              lua-cjson nghttp2-client openssl prometheus gdb"
        ;;
    lint)
        more="lua-check shellcheck perl"
        ;;
    asan)
        more="dpkg-dev zlib1g-dev"
        ;;
    fuzz)
        more="clang libclang-rt-dev"
        ;;
    bench)
        more="nginx redis-server perl wrk nghttp2-client
              libnginx-mod-http-lua lua-nginx-redis lua-cjson"
        ;;
    stats)
        more="dieharder"
        ;;
    node)
        # a node of another origin brings its own npm, and bears no other
        more="nodejs npm"
        if command -v node > /dev/null && command -v npm > /dev/null; then
            more=
        fi
        ;;
    browser)
        more="chromium fonts-liberation"
        ;;
    *)
        echo "deps.sh: unknown group \"$group\"" >&2
        exit 2
        ;;
    esac

    wanted="$wanted $more"
done

if ! command -v dpkg-query > /dev/null; then
    echo "deps.sh: this is not a Debian system; these must be there:" \
         $wanted >&2
    exit 0
fi

missing=
for package in $(printf '%s\n' $wanted | sort -u); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
             2> /dev/null) || status=
    if [ "$status" != installed ]; then
        missing="$missing $package"
    fi
done

if [ -z "$missing" ]; then
    exit 0
fi

echo "installing:$missing"

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo > /dev/null; then
        echo "deps.sh: root is needed for:  apt-get install$missing" >&2
        exit 1
    fi
fi

# while packages are set up, services are not to be started
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '$sudo rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy > /dev/null
    $sudo chmod 755 $policy
fi

apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

# the package lists may be old or not there at all
if ! apt install -y --no-install-recommends $missing > /dev/null 2>&1; then
    apt update
    apt install -y --no-install-recommends $missing
fi
