#!/usr/bin/perl

# Which rules an event touches: found by type and value among many, in the
# order of the kinds and of the file, each at most once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

# ---- 200 rules, of which a few match ----

{
    my $program = "wallet points;\n";

    for my $i (1 .. 200) {
        my $lines = $i % 4 == 0 ? "match partner = p$i;"
                  : $i % 4 == 1 ? "match partner in p$i p@{[ $i + 4 ]};"
                  : $i % 4 == 2 ? "match offer = $i; match channel = web;"
                  :               "match amount in $i.00 0.$i;";

        $lines =~ s/0\.(\d\d\d)/0.50/;
        $program .= "challenge game_$i { on buy; $lines goal 1000; }\n";
    }

    $program .= "streak visits { on buy; every day; }\n"
                . "earn buy points 1;\nearn buy points 2 match offer = 6;\n";

    my $t = Loyalty::Test->new(program => $program);
    my $id = 0;

    my $effects = sub {
        my ($event) = @_;
        my $response = $t->event({ id => 'e' . ++$id, member => "m$id",
                                   type => 'buy', %$event });

        is($response->status, 200, "event $id: 200")
            or diag($response->body);

        return [ map { $_->{name} // $_->{amount} }
                 @{ $response->json->{effects} } ];
    };

    is_deeply($effects->({}), [qw(1 visits)], 'rules without match lines');
    is_deeply($effects->({ partner => 'p100' }), [qw(1 game_100 visits)],
              'one of 50 partners');
    is_deeply($effects->({ partner => 'p101' }),
              [qw(1 game_97 game_101 visits)], 'two that name this one');
    is_deeply($effects->({ data => { offer => 6 }, channel => 'web' }),
              [qw(1 2 game_6 visits)], 'earn first, then challenges');
    is_deeply($effects->({ data => { offer => 6 } }), [qw(1 2 visits)],
              'a value alone is not enough');
    is_deeply($effects->({ amount => '0.50' }),
              [ 1, (map { "game_$_" } grep { $_ % 4 == 3 && $_ > 99 }
                    1 .. 200), 'visits' ],
              'amounts are found by value, too; 25 rules at once');
    is_deeply($effects->({ partner => 'p1', amount => '199',
                           channel => 'web', data => { offer => 198 } }),
              [qw(1 game_1 game_198 game_199 visits)], 'by several fields');
    is_deeply($effects->({ partner => 'p999' }), [qw(1 visits)],
              'a value that no rule asks for');

    my $metrics = $t->metrics;
    my ($matched) = grep { /rules_matched/ } keys %$metrics;

    is($metrics->{$matched}, 2 + 3 + 4 + 4 + 3 + 27 + 5 + 2,
       'matched rules are counted');
}


# ---- one rule, two listeners: one hit ----

{
    my $t = Loyalty::Test->new(program => <<'END');
wallet points;
challenge both {
    on buy;
    match channel = web;
    opens_on buy match partner = acme;
    window 7d;
    goal 3;
}
END
    my $progress = sub {
        my ($id, %event) = @_;
        my $response = $t->event({ id => $id, member => 'm', type => 'buy',
                                   %event });

        is($response->status, 200, "$id: 200") or diag($response->body);

        return [ map { $_->{progress} } @{ $response->json->{effects} } ];
    };

    is_deeply($progress->('a', channel => 'web'), [],
              'it counts, but nothing is open');
    is_deeply([ grep { $_ } @{ $progress->('b', partner => 'acme') } ], [],
              'it opens and does not count');
    is_deeply($progress->('c', channel => 'web'), [1], 'now it counts');
}


# ---- $variables: of the request, the same for all its events ----

{
    my $t = Loyalty::Test->new(
        program => <<'END',
wallet points;
challenge vip   { on buy; match $segment = vip; goal 1000; }
challenge store { on buy; match $arg_store in 1 2 3; goal 1000; }
challenge new   { on buy; match $http_x_age < 30.5; goal 1000; }
challenge none  { on buy; match $http_x_none != x; goal 1000; }
END
        http => 'map $http_x_token $segment { default none; t1 vip; }');

    my $names = sub {
        my ($response) = @_;

        return [ map { $_->{name} } @{ $response->json->{effects} } ];
    };

    my $event = { member => 'm', type => 'buy' };

    is_deeply($names->($t->post('/loyalty-in/events?store=2',
        { %$event, id => 'a' },
        headers => { 'X-Token' => 't1', 'X-Age' => '30.49' })),
        [qw(vip store new none)], 'variables of the request');
    is_deeply($names->($t->post('/loyalty-in/events?store=22',
        { %$event, id => 'b' }, headers => { 'X-Age' => 'young' })),
        [qw(none)], 'variables that do not match, or are not set');

    my $response = $t->events([ map { { %$event, id => "n$_" } } 1 .. 3 ],
                              headers => { 'X-Token' => 't1' });
    my @lines = map { JSON::PP::decode_json($_) } split /\n/, $response->body;

    is_deeply([ map { $_->{effects}[0]{name} } @lines ],
              [qw(vip vip vip)], 'the same for each line of a batch');
}

done_testing();
