# What the sample of a mobile app adds to conf/demo.sh.
#
# shellcheck shell=bash disable=SC2154


prepare() {
    secret draws.secret hooks.keys admin.keys

    # the login service
    [ -s login.pem ] || "$root/conf/mobile/token.sh" key login.pem
    "$root/conf/mobile/token.sh" jwks login.pem > login.jwks
}


try() {
    local now=$1 api=$url/api/v1 private=http://localhost:$((port + 1))
    local admin="bin/loyalty-call --keys $at/admin.keys --admin"
    local token=$at/token card

    card="curl -s -X POST -H @$token -H 'Idempotency-Key: card-$now' \\
     $api/loyalty/games/scratch/plays"

    show "the login service gives a member a token; curl reads it from a file" \
"echo \"Authorization: Bearer \$(conf/mobile/token.sh $at/login.pem ada)\" \\
    > $token"

    show "a purchase, as the site's server reports it with its signature" \
"bin/loyalty-call --keys $at/hooks.keys $api/hooks/events '
{\"id\": \"order-$now\", \"member\": \"ada\", \"type\": \"purchase\",
 \"amount\": \"60.00\"}'"

    show "a few codes for free coffee, by an operator" \
"printf '\"%s\"\\n' CUP-$now-{1..20} |
    $admin --type application/x-ndjson \\
         $private/loyalty-admin/codes/coffee -"

    show "a scratch card for 10 points" "$card"

    show "the answer was lost; with the same key it is the same card" "$card"

    show "two tickets of the sweepstakes, and one for nothing" \
"curl -s -H @$token -H 'Idempotency-Key: spring-$now' --json '{\"tickets\": 2}' \\
     $api/loyalty/sweepstakes/spring/entries
curl -s -H @$token -H 'Idempotency-Key: free-$now' \\
     --json '{\"tickets\": 1, \"free\": true}' \\
     $api/loyalty/sweepstakes/spring/entries"

    show "a coffee for 20 points" \
"curl -s -X POST -H @$token -H 'Idempotency-Key: coffee-$now' \\
     $api/loyalty/rewards/free_coffee/redemptions"

    show "what the home screen of the app shows" \
"curl -s -H @$token $api/loyalty/me"

    show "a token that was good until a minute ago" \
"curl -s -H \"Authorization: Bearer \$(conf/mobile/token.sh $at/login.pem ada -60)\" \\
     $api/loyalty/me"

    cat << END

Try more than a card a second, or more than three a day, an entry without a
key, a token of another key.  Then:

curl -s $url/fair/games     # or $url/fair/verify.html: the draws
curl -s $private/metrics
tail $at/access.log
bin/loyalty-member --redis unix:$at/redis.sock --program app ada
END
}
