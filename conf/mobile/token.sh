#!/bin/bash
# What a login service does, for the demo: tokens for members.
#
#     token.sh key KEY                     makes a key, Ed25519 in PEM
#     token.sh jwks KEY                    its key set, for loyalty_jwt
#     token.sh KEY MEMBER [SECONDS]        a token of https://login.example
#                                          for "loyalty", good for an hour

set -eu

base64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d '='
}

case ${1:-} in
key)
    (umask 077; openssl genpkey -algorithm ED25519 -out "$2")
    exit
    ;;
jwks)
    x=$(openssl pkey -in "$2" -pubout -outform DER | tail -c 32 | base64url)
    printf '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"demo","x":"%s"}]}\n' \
           "$x"
    exit
    ;;
esac

if [ $# -lt 2 ]; then
    echo "usage: token.sh key KEY | jwks KEY | KEY MEMBER [SECONDS]" >&2
    exit 2
fi

now=$(date +%s)
text=$(mktemp)
trap 'rm -f "$text"' EXIT

header=$(printf '{"alg":"EdDSA","kid":"demo"}' | base64url)
claims=$(printf '{"iss":"%s","aud":"%s","sub":"%s","iat":%d,"exp":%d}' \
    https://login.example loyalty "$2" "$now" $((now + ${3:-3600})) \
    | base64url)

printf %s "$header.$claims" > "$text"
signature=$(openssl pkeyutl -sign -rawin -inkey "$1" -in "$text" | base64url)

echo "$header.$claims.$signature"
