# What is the demo's own, for conf/demo.sh: a coffee shop whose server reports
# what was bought.
#
# shellcheck shell=bash disable=SC2154


prepare() {
    secret demo.secret
}


try() {
    local now=$1 cid purchase

    purchase="curl -s $url/loyalty-in/events --json '
{\"id\": \"order-$now\", \"member\": \"ada\", \"type\": \"purchase\",
 \"amount\": \"12.50\",
 \"items\": [{\"sku\": \"flat-white\", \"category\": \"coffee/hot\",
            \"quantity\": 3, \"amount\": \"10.50\"},
           {\"sku\": \"scone\", \"category\": \"food\", \"quantity\": 1,
            \"amount\": \"2.00\"}]}'"

    show "a purchase: points, and progress on what is running" "$purchase"

    show "the same once more, as a retry would send it: nothing is paid twice" \
         "$purchase"

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
there is without a beacon, and it says what is missing).  In the browser, the
scratch card and the wheel at any time:

$url/fair/verify.html

and by a command:

curl -s -H 'X-Member: ada' $url/loyalty/sweepstakes/raffle
make verify
conf/demo.sh fetch raffle $cid
build/loyalty-verify $at/fair/raffle

Try the lines above with values of your own, then:

curl -s $url/metrics
make fsck                     # every balance against its ledger
bin/loyalty-member --redis unix:$at/redis.sock --program shop ada
END
}
