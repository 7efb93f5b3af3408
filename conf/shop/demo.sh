# What the sample of an existing shop adds to conf/demo.sh.
#
# shellcheck shell=bash disable=SC2154


prepare() {
    secret events.keys admin.keys

    setsid perl "$root/conf/shop/backend.pl" $((port + 2)) > backend.log 2>&1 &
    echo $! > backend.pid
    wait_for ": < /dev/tcp/127.0.0.1/$((port + 2))" backend.log
}


try() {
    local now=$1 private=http://localhost:$((port + 1)) jar=$at/cookies
    local order checkout

    show "somebody signs in: to the shop, which knows nothing of loyalty" \
"curl -s -o /dev/null -c $jar -d name=ada $url/login"

    show "the page of the shop has a line in it that nginx has put there" \
"curl -s -b $jar $url/ | grep class=.loyalty"

    order=$(cd "$root" && curl -s -b "$jar" "$url/" \
            | sed -n 's/.*name="order" value="\([0-9]*\)".*/\1/p;T;q')

    checkout="curl -s -b $jar -d order=$order -d item=beans -d quantity=4 \\
     $url/checkout | grep -o 'Thank you.*:'"

    show "a checkout, which nginx observes" "$checkout"

    show "the same once more: the shop says so again, and nothing is paid twice" \
         "$checkout"

    show "what the backend is told by nginx of who is asking" \
"curl -s -b $jar $url/headers | grep loyalty"

    show "half of it is refunded, as the shop's server reports with its signature" \
"bin/loyalty-call --keys $at/events.keys \\
     $private/loyalty-in/events/$order/reversal '
{\"id\": \"refund-$now\", \"member\": \"ada\", \"amount\": \"24.00\"}'"

    show "an operator is generous, and says why" \
"bin/loyalty-call --keys $at/admin.keys --admin --key gift-$now \\
     $private/loyalty-admin/members/ada/adjustments '
{\"wallet\": \"points\", \"amount\": 100, \"reason\": \"a birthday\"}'"

    show "a few codes for free coffee" \
"printf '\"%s\"\\n' CUP-$now-{1..20} |
    bin/loyalty-call --keys $at/admin.keys --admin \\
         --type application/x-ndjson $private/loyalty-admin/codes/coffee -"

    show "one of them, for 100 points" \
"curl -s -X POST -b $jar -H 'Idempotency-Key: coffee-$now' \\
     $url/loyalty/rewards/free_coffee/redemptions"

    show "what nginx has observed" \
"curl -s $private/metrics | grep '^nginx_loyalty_observed.*[1-9]$'"

    cat << END

Open $url/ in a browser, sign in under any name and buy something.
Then stop Redis, and buy more: the pages stay the backend's own, and what was
bought waits in $at/spool.  When Redis is back it is credited:

kill \$(cat $at/redis.pid)
conf/demo.sh redis shop
tail $at/access.log
END
}
