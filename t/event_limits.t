#!/usr/bin/perl

# An event that is refused because of what it would do: the reply names each
# reason there can be, so that nobody looks for it in the wrong place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => join "\n", 'wallet points;', 'money EUR 2;',
    'earn pay points 1 per=0.01;',
    map { "challenge c$_ { on all; goal 5; every day; }" } 1 .. 900);

sub told {
    my $r = $t->event({ id => 'e' . $_[0], member => 'm', @_[1 .. $#_] });

    return $r->status . ' ' . ($r->json->{detail} // 'ok');
}

is(told(1, type => 'pay', amount => '90071992547409.91'), '200 ok',
   'as many points as there can be');
like(told(2, type => 'pay', amount => '0.01'), qr/^409 .*9007199254740991/,
     'and one more');
like(told(3, type => 'all'), qr/^409 .* more rules than one record holds/,
     'too many rules at once');

is($t->me('m')->json->{wallets}{points}{balance}, 9007199254740991,
   'neither did anything');

done_testing();
