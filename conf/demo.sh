#!/bin/bash
# Runs conf/demo.conf: a private Redis on a unix socket, with an append-only
# file, and nginx on port 8080.
#
#     demo.sh start     shows a few requests and their replies, then stays
#                       until Ctrl-C or "demo.sh stop"
#     demo.sh stop
#     demo.sh fetch GAME CID    the published files of a draw, for
#                               build/loyalty-verify, into build/demo/fair/GAME

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
demo=$root/build/demo
url=http://localhost:8080


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
    local pid name

    for name in nginx redis; do
        pid=$(running $name) || continue
        kill "$pid" || continue

        for _ in $(seq 100); do
            running $name > /dev/null || break
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
    eval "$*" | sed '$a\'
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


# a configuration with the times of its draws: from now on, for two minutes
# or a week
times() {
    sed -e "s/OPEN;/$(date -u -d '-1 minute' +%Y-%m-%dT%H:%M:00Z);/" \
        -e "s/SOON;/$(date -u -d '+2 minutes' +%Y-%m-%dT%H:%M:%SZ);/" \
        -e "s/CLOSE;/$(date -u -d '+7 days' +%Y-%m-%dT%H:%M:00Z);/" "$1"
}


start() {
    local now cid

    if running nginx > /dev/null || running redis > /dev/null; then
        echo "the demo runs already; \"make demo-stop\" ends it" >&2
        exit 1
    fi

    if (: < /dev/tcp/127.0.0.1/8080) 2> /dev/null; then
        echo "port 8080 is taken by another program" >&2
        exit 1
    fi

    mkdir -p "$demo"
    cd "$demo"
    trap 'stop' EXIT
    trap 'exit 0' INT TERM HUP

    # a secret of its own, and draws that are open now
    if [ ! -s demo.secret ]; then
        (umask 077; echo "demo:$(openssl rand -hex 32)" > demo.secret)
    fi

    times "$root/conf/demo.conf" > demo.conf

    # out of reach of the terminal's Ctrl-C: nginx goes first
    setsid redis-server --port 0 --unixsocket redis.sock \
        --dir "$demo" --save '' --appendonly yes --appendfsync everysec \
        --maxmemory-policy noeviction --pidfile "$demo/redis.pid" \
        --daemonize no > redis.log 2>&1 &
    echo $! > redis.pid
    wait_for "redis-cli -s redis.sock ping" redis.log

    # as root, nginx's workers would else be somebody who may not come here
    setsid nginx -p "$demo/" -c "$demo/demo.conf" -e error.log \
        ${user:+-g "$user"} > nginx.log 2>&1 &
    wait_for "curl -fs $url/metrics" error.log

    now=$(date +%s)

    show "a purchase: points, and progress on what is running" \
"curl -s $url/loyalty-in/events --json '
{\"id\": \"order-$now\", \"member\": \"ada\", \"type\": \"purchase\",
 \"amount\": \"12.50\",
 \"items\": [{\"sku\": \"flat-white\", \"category\": \"coffee/hot\",
            \"quantity\": 3, \"amount\": \"10.50\"},
           {\"sku\": \"scone\", \"category\": \"food\", \"quantity\": 1,
            \"amount\": \"2.00\"}]}'"

    show "the same once more, as a retry would send it: nothing is paid twice" \
"curl -s $url/loyalty-in/events --json '
{\"id\": \"order-$now\", \"member\": \"ada\", \"type\": \"purchase\",
 \"amount\": \"12.50\",
 \"items\": [{\"sku\": \"flat-white\", \"category\": \"coffee/hot\",
            \"quantity\": 3, \"amount\": \"10.50\"},
           {\"sku\": \"scone\", \"category\": \"food\", \"quantity\": 1,
            \"amount\": \"2.00\"}]}'"

    show "several at once: one line each, in order" \
"curl -s $url/loyalty-in/events -H 'Content-Type: application/x-ndjson' \\
     --data-binary '{\"id\": \"visit-$now\", \"member\": \"ada\", \"type\": \"visit\"}
{\"id\": \"review-$now\", \"member\": \"ada\", \"type\": \"review\"}
'"

    show "one flat white is given back" \
"curl -s $url/loyalty-in/events/order-$now/reversal --json '
{\"id\": \"refund-$now\", \"member\": \"ada\",
 \"items\": [{\"sku\": \"flat-white\", \"quantity\": 1}]}'"

    show "a few codes for free coffee" \
"printf '\"%s\"\\n' CUP-$now-{1..20} |
    curl -s $url/loyalty-admin/codes/coffee \\
         -H 'Content-Type: application/x-ndjson' --data-binary @-"

    show "two spins of the wheel as a gift" \
"curl -s $url/loyalty-admin/games/wheel/grants -H 'Idempotency-Key: gift-$now' \\
     --json '{\"member\": \"ada\", \"plays\": 2, \"reason\": \"a birthday\"}'"

    show "the wheel, spun; a retry with the same key is the same spin" \
"curl -s -X POST -H 'X-Member: ada' -H 'Idempotency-Key: spin-$now' \\
     $url/loyalty/games/wheel/plays"

    show "a scratch card for 2 points" \
"curl -s -X POST -H 'X-Member: ada' -H 'Idempotency-Key: card-$now' \\
     $url/loyalty/games/scratch/plays"

    show "three tickets of the raffle" \
"curl -s $url/loyalty/sweepstakes/raffle/entries -H 'X-Member: ada' \\
     -H 'Idempotency-Key: raffle-$now' --json '{\"tickets\": 3}'"

    show "what the home screen of the app shows" \
"curl -s -H 'X-Member: ada' $url/loyalty/me"

    show "and how it came to be" \
"curl -s -H 'X-Member: ada' '$url/loyalty/me/history?limit=2'"

    wait_for "curl -fs $url/fair/games | grep raffle" error.log
    cid=$(curl -s $url/fair/games | awk '$1 == "raffle" { cid = $2 }
                                         END { print cid }')

    cat << END

In two minutes the raffle closes and is drawn.  Then recompute the winners from
what is published, with nothing of the module (seed only: INCOMPLETE is the best
there is without a beacon, and it says what is missing):

curl -s -H 'X-Member: ada' $url/loyalty/sweepstakes/raffle
make verify
conf/demo.sh fetch raffle $cid
build/loyalty-verify build/demo/fair/raffle

The demo runs until Ctrl-C or "make demo-stop".  Try the lines above with
values of your own, then:

curl -s $url/metrics
make fsck                     # every balance against its ledger
bin/loyalty-member --redis unix:build/demo/redis.sock --program shop ada

Its rules are in build/demo/demo.conf: edit them and reload nginx with

kill -HUP \$(cat build/demo/nginx.pid)
END

    while running nginx > /dev/null; do
        sleep 0.5 &
        wait $! || :
    done
}


if [ "$(id -u)" = 0 ]; then
    user="user root;"
else
    user=
fi

# the published files of a campaign, into a directory
fetch() {
    local dir=$demo/fair/$1 name

    rm -rf "$dir"
    mkdir -p "$dir"
    curl -fs $url/fair/vkey > "$dir/vkey"

    for name in manifest terms-1 prizes-1 entries log heads close timestamps \
                beacons reveal picks dq evidence; do
        curl -fs "$url/fair/$1/$2/$name" -o "$dir/$name" || :
    done

    ls "$dir"
}


case ${1:-} in
fetch)
    fetch "$2" "$3"
    ;;
start)
    start
    ;;
stop)
    stop
    ;;
*)
    echo "usage: demo.sh start|stop" >&2
    exit 2
    ;;
esac
