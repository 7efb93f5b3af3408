package Loyalty::FakeRelay;

# A relay of drand quicknet, for beacons in tests.  It serves the real rounds
# that it knows, and makes up the others: relays agree on them, as each one
# is a function of its number.
#
#     my $relay = Loyalty::FakeRelay->new($t, 'one');
#     ... beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%% ...
#     $relay->mode('lie');
#
# Modes beside those of Loyalty::FakeHTTP:
#     lie         a randomness that is not the signature's hash
#     other       another signature, with its hash: "other WORD" for more of
#                 them
#     wrong       another round
#     early       404, always;  late N: 404 in the first N ms of a round
#     html        no JSON
#
#     $relay->requests      numbers of the rounds that were asked for
#     Loyalty::FakeRelay::signature($round, $word)      bytes
#     Loyalty::FakeRelay::round_at($seconds)  newest round then

use strict;
use warnings;

use parent 'Loyalty::FakeHTTP';

use Digest::SHA qw(sha256 sha256_hex);
use Time::HiRes qw(time);

my $chain = '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971';

my %real = (
    123 => 'b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482'
         . 'e26cd02df835d3546d23c4b13e0dfc92',
    1000 => 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125'
          . 'e342b73a8dd2bacbe47e4b6b63ed5e39',
    657413 => 'b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7'
            . 'be41076862b98fad56e91a6b85b89cd97b',
    4810223 => 'a276c597d6525953db73c02713eac9409e847f5c696898d6f5827a41926dd'
             . 'face6133b0da770947a5f1151131a197142',
    14517013 => '83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6'
              . 'b00a3f216b8d88dcd7947cba97d39f2e16c5',
);


sub requests {
    my ($self) = @_;

    return map { m{^GET /\S*/public/(\d+) } ? $1 : () } $self->lines;
}


sub round_at {
    my ($t) = @_;
    return int(($t * 1000 - 1692803367000) / 3000) + 1;
}


sub signature {
    my ($round, $word) = @_;

    return pack 'H*', $real{$round} if exists $real{$round} && !defined $word;

    $word //= '';
    return substr sha256("a $round $word") . sha256("b $round $word"), 0, 48;
}


sub respond {
    my ($self, $head, $body, $mode, $value) = @_;

    my ($round) = $head =~ m{^GET (?:/[\w.]+)*/$chain/public/(\d+|latest) };
    return $self->http(404, "no such path\n") if !defined $round;

    my $newest = round_at(time);
    $round = $newest if $round eq 'latest';
    my $age = (time * 1000 - 1692803367000) - ($round - 1) * 3000;

    return $self->http(404, '{}')
        if $round > $newest || $mode eq 'early'
           || $mode eq 'late' && $age < $value;

    return $self->http(200, '<html>no</html>') if $mode eq 'html';

    my $sig = signature($round, $mode eq 'other' ? $value // 'x' : undef);
    my $randomness = sha256_hex($sig);

    $randomness =~ tr/0-9/1-90/ if $mode eq 'lie';
    $round++ if $mode eq 'wrong';

    return $self->http(200,
        sprintf('{"round":%d,"randomness":"%s","signature":"%s"}',
                $round, $randomness, unpack 'H*', $sig),
        'application/json');
}


1;
