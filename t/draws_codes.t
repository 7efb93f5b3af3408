#!/usr/bin/perl

# Many codes, imported in several bodies, and many plays at once that win one
# each: every code goes to one play.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my $when = 'open ' . Loyalty::Instant::at(-3600) . '; close '
         . Loyalty::Instant::at(86400) . ';';

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }', program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
instant_win all { $when draw odds; prize cup { odds 1/1; codes cups; } }
instant_win some { $when draw odds; prize cup { odds 1/2; codes cups; } }
END

my %game = map { $_ => Loyalty::Instant->new($t, $_) } qw(all some);

sub import_codes {
    my ($from, $to) = @_;

    return $t->post('/loyalty-admin/codes/cups',
                    join('', map { qq("code-$_"\n) } $from .. $to),
                    headers => { 'Content-Type' => 'application/x-ndjson' },
                    timeout => 60);
}

is(import_codes(1, 30_000)->json->{added}, 30_000, 'codes go in');

my $r = import_codes(20_001, 60_000);

is($r->json->{added}, 30_000, 'more of them, without those that are known');
is($r->json->{unused}, 60_000, 'all are there');

my @replies = $t->parallel(map { [$game{$_ % 3 ? 'all' : 'some'}
                                  ->post('m' . $_ % 40, "k$_")] } 1 .. 300);

is(scalar(grep { $_->status == 200 } @replies), 300, 'plays at once');

my @codes = map { $_->json->{code} }
            grep { $_->json->{outcome} eq 'win' } @replies;
my %seen = map { $_ => 1 } grep { defined } @codes;

cmp_ok(scalar @codes, '>', 200, 'most win');
is(scalar keys %seen, scalar @codes, 'each its own code');
is(scalar(grep { !/^code-\d+\z/ } keys %seen), 0, 'that was imported');
is(import_codes(1, 1)->json->{unused}, 60_000 - @codes,
   'which the pool has no more');

my @again = $t->parallel(map { [$game{$_ % 3 ? 'all' : 'some'}
                                ->post('m' . $_ % 40, "k$_")] } 1 .. 300);

is_deeply([map { $_->body } @again], [map { $_->body } @replies],
          'repeats have the same');

done_testing();
