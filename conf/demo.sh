#!/bin/bash
# Runs a sample of conf/: a private Redis on a unix socket, with an append-only
# file, and nginx on port 8080.
#
#     demo.sh start [NAME]      shows a few requests and their replies, then
#                               stays until Ctrl-C or "demo.sh stop"
#     demo.sh stop [NAME]
#     demo.sh redis [NAME]      starts Redis again, where it was stopped
#     demo.sh fetch GAME CID [NAME]
#                               the published files of a draw, for
#                               build/loyalty-verify, into build/NAME/fair/GAME
#
# NAME is demo, the default; shop, an existing shop that is observed; or mobile,
# an app with tokens.  What is NAME's own is in conf/NAME.conf and
# conf/NAME/demo.sh.  DEMO_PORT is another port; two behind it are taken as
# well.  DEMO_DIR is another directory than build/NAME.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
port=${DEMO_PORT:-8080}
module=${LOYALTY_MODULE:-$root/build/ngx_http_loyalty_module.so}


usage() {
    echo "usage: demo.sh start|stop|redis [demo|shop|mobile]" >&2
    echo "       demo.sh fetch GAME CID [demo|mobile]" >&2
    exit 2
}


# the pid in a file, when that process is one of the demo's
running() {
    local pid
    pid=$(cat "$demo/$1.pid" 2> /dev/null) || return 1

    if [ "$(readlink "/proc/$pid/cwd" 2> /dev/null)" = "$demo" ]; then
        echo "$pid"
    else
        return 1
    fi
}


stop() {
    local pid service

    for service in nginx backend redis; do
        pid=$(running $service) || continue
        kill "$pid" || continue

        for _ in $(seq 100); do
            running $service > /dev/null || break
            sleep 0.1
        done
    done
}


show() {
    echo
    echo "# $1"
    shift

    # what is printed is what is run
    printf '%s\n' "$*"
    (cd "$root" && eval "$*") | sed '$a\'
}


wait_for() {
    for _ in $(seq 100); do
        if eval "$1" > /dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done

    echo "the demo did not start; the end of $demo/$2:" >&2
    tail -n 20 "$demo/$2" >&2
    stop
    exit 1
}


# files with a secret of their own
secret() {
    local file

    for file; do
        [ -s "$file" ] \
        || (umask 077; echo "demo:$(openssl rand -hex 32)" > "$file")
    done
}


# the configuration, with the times of its draws, which are from now on, for two
# minutes or a week, and its ports
configuration() {
    sed -e "s/OPEN;/$(date -u -d '-1 minute' +%Y-%m-%dT%H:%M:00Z);/" \
        -e "s/SOON;/$(date -u -d '+2 minutes' +%Y-%m-%dT%H:%M:%SZ);/" \
        -e "s/CLOSE;/$(date -u -d '+7 days' +%Y-%m-%dT%H:%M:00Z);/" \
        -e "s/127\.0\.0\.1:8080/127.0.0.1:$port/" \
        -e "s/127\.0\.0\.1:8081/127.0.0.1:$((port + 1))/" \
        -e "s/127\.0\.0\.1:8082/127.0.0.1:$((port + 2))/" \
        -e "s|^load_module .*|load_module $module;|" \
        -e "s|\.\./verify\.html|$root/build/verify.html|" \
        "$root/conf/$name.conf"
}


# out of reach of the terminal's Ctrl-C: nginx goes first
redis() {
    setsid redis-server --port 0 --unixsocket redis.sock \
        --dir "$demo" --save '' --appendonly yes --appendfsync everysec \
        --maxmemory-policy noeviction --pidfile "$demo/redis.pid" \
        --daemonize no > redis.log 2>&1 &
    echo $! > redis.pid
    wait_for "redis-cli -s redis.sock ping" redis.log
}


start() {
    local user='' conf=''

    if running nginx > /dev/null || running redis > /dev/null; then
        echo "the demo runs already; \"conf/demo.sh stop $name\" ends it" >&2
        exit 1
    fi

    for ((n = port; n < port + 3; n++)); do
        if (: < "/dev/tcp/127.0.0.1/$n") 2> /dev/null; then
            echo "port $n is taken by another program" >&2
            exit 1
        fi
    done

    mkdir -p "$demo"
    cd "$demo"
    trap 'stop' EXIT
    trap 'exit 0' INT TERM HUP

    configuration > "$name.conf"
    echo "$port" > port

    redis

    # keys, and what else has to be there first
    prepare

    # as root, nginx's workers would else be somebody who may not come here
    [ "$(id -u)" != 0 ] || user="user root;"

    setsid nginx -p "$demo/" -c "$demo/$name.conf" -e error.log \
        ${user:+-g "$user"} > nginx.log 2>&1 &
    wait_for ": < /dev/tcp/127.0.0.1/$port" error.log

    try "$(date +%s)"

    [ "$name" = demo ] || conf=" CONF=$name"

    cat << END

The demo runs until Ctrl-C or "make demo-stop$conf".  Its rules are in
$at/$name.conf: edit them and reload nginx with

kill -HUP \$(cat $at/nginx.pid)
END

    while running nginx > /dev/null; do
        sleep 0.5 &
        wait $! || :
    done
}


# the published files of a campaign, into a directory
fetch() {
    local dir=$demo/fair/$1 file fair

    # where it was started, whatever is said now
    fair=http://localhost:$(cat "$demo/port" 2> /dev/null || echo "$port")/fair

    if ! curl -fs "$fair/$1/$2/manifest" > /dev/null; then
        echo "there is no $fair/$1/$2" >&2
        exit 1
    fi

    rm -rf "$dir"
    mkdir -p "$dir"
    curl -fs "$fair/vkey" > "$dir/vkey"

    # heads before the log, which may grow in between, and so on
    for file in manifest terms-1 prizes-1 heads close picks log entries dq \
                timestamps cosignatures beacons reveal evidence; do
        curl -fs "$fair/$1/$2/$file" -o "$dir/$file" || :
    done

    ls "$dir"
}


case ${1:-} in
start|stop|redis)
    name=${2:-demo}
    ;;
fetch)
    [ $# -ge 3 ] || usage
    name=${4:-demo}
    ;;
*)
    usage
    ;;
esac

[ -f "$root/conf/$name/demo.sh" ] || usage

demo=$(realpath -m "${DEMO_DIR:-$root/build/$name}")

# for the sample: where it answers, and its directory as it is typed where
# "make" is
# shellcheck disable=SC2034
url=http://localhost:$port at=${demo#"$root"/}

# prepare() and try() of the sample
# shellcheck source=/dev/null
. "$root/conf/$name/demo.sh"

case $1 in
start)
    start
    ;;
stop)
    stop
    ;;
redis)
    if running redis > /dev/null; then
        echo "it runs" >&2
        exit 1
    fi
    cd "$demo"
    redis
    ;;
fetch)
    fetch "$2" "$3"
    ;;
esac
