#!/usr/bin/perl

# A sweepstakes that this server cannot serve is shown all the same: where it
# stands, who has won and what was published; and why it is stopped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;

my $begin = int(time) - 86400;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

sub program {
    my (%o) = @_;
    my $rule = $o{rule} // '';
    my $unsafe = $o{unsafe} // 'unsafe_store on;';
    my $close = at($begin + ($o{close} // 3600));

    return "secret_file %%TESTDIR%%/secret; $unsafe\n"
           . "sweepstakes done { open @{[at($begin)]}; close $close; $rule"
           . ' prize trip { stock 1; } prize mug { stock 1; } }'
           . " sweepstakes live { open @{[at($begin)]};"
           . " close @{[at($begin + 864000)]};"
           . " free_entry on; $rule prize trip { stock 1; } }\n";
}

my $t = Loyalty::Test->new(
    start => 0, files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is stopped: /], program => program());

Loyalty::Sweeps::plant($t, 'done', $begin, [['ada', 3], ['bob', 4]]);
$t->start;

my $done = Loyalty::Sweeps->new($t, 'done');
my $live = Loyalty::Sweeps->new($t, 'live');

ok($done->wait_for_state('drawn', 20), 'it is drawn');
is($live->enter('ada', { tickets => 2, free => JSON::PP::true })->status, 200,
   'and one goes on');

my %before = map { $_->{name} => $_->show('ada') } $done, $live;

is(scalar @{ $before{done}{winners} }, 2, 'two have won');
is($before{done}{stopped}, undef, 'it is not stopped');


sub reload {
    my ($name, $code, %o) = @_;

    $t->write_file('secret', $o{secret} // $Loyalty::Sweeps::SECRET);
    $t->write_file('program.conf', program(%o));
    $t->reload(wait => 1);
    ok($t->wait_for(sub { ($_->show->{stopped} // '') eq $code }),
       "$name: stopped") for $done, $live;

    return map { $_->{name} => $_->show('ada') } $done, $live;
}

sub without {
    my ($shown, @left) = @_;
    my %copy = %$shown;

    delete @copy{'stopped', @left};
    $copy{winners} = [map { { %$_ } } @{ $copy{winners} }]
        if $copy{winners};
    delete @$_{@left} for @{ $copy{winners} // [] };

    return \%copy;
}


for (['changed rules', 'rules_changed', rule => 'limit 5 per day;'],
     ['another close', 'rules_changed', close => 900_000,
      rule => 'limit 5 per day;'],
     ['an unsafe store', 'unsafe_store', unsafe => ''])
{
    my ($name, $code, %o) = @$_;

    my %now = reload($name, $code, %o);

    is_deeply(without($now{done}), $before{done}, "$name: what was drawn");
    is_deeply(without($now{live}), $before{live}, 'what goes on');
    is($now{done}{stopped}, $code, 'and why nobody enters');
}

is($live->enter('ada', { tickets => 1, free => JSON::PP::true })->code,
   'unsafe_store', 'nobody does');

for (['a lost secret', 'other:' . '77' x 32 . "\n"],
     ['a wrong secret', 'main:' . '77' x 32 . "\n"])
{
    my ($name, $secret) = @$_;
    my %now = reload($name, 'rules_changed', secret => $secret);

    is_deeply(without($now{done}, 'own', 'won'),
              without($before{done}, 'own', 'won'), "$name: what was drawn");
    is_deeply([grep { exists $_->{own} } @{ $now{done}{winners} }], [],
              'not who of them it is');
    is_deeply($now{live}{own}, $before{live}{own}, 'tickets are known');

    my $told = $live->enter('ada', { tickets => 1 })->json->{detail};

    like($told, qr/stopped on this server/, 'who enters is told that it is');
    unlike($told, qr/main|secret/, 'but not why');
    like($t->post('/loyalty-admin/sweepstakes/live/close', {})->json->{detail},
         qr/secret/, 'which the admin is');

    my $admin = $t->get('/loyalty-admin/sweepstakes/done')->json;

    is($admin->{stopped}, 'rules_changed', 'the admin is told');
    is($admin->{state}, 'drawn', 'where it stands');
}

done_testing();
