#!/usr/bin/perl

# A play or an entry that is known is told again by its key, whatever has
# become of its draw: paused, stopped on this server, sold out, closed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my $open = int(time) - 600;
my $close = int(time) + 12 * Loyalty::Test->slow;

sub at { return Loyalty::Instant::at($_[0] - time) }

sub program {
    my (%o) = @_;
    my $when = "open @{[at($open)]}; close @{[at($close)]};";
    my $unsafe = $o{unsafe} // 'unsafe_store on;';
    my $more = $o{more} // '';


    return "secret_file %%TESTDIR%%/secret; $unsafe\n"
           . "instant_win wheel { $when draw deck blanks=1; $more"
           . ' prize mug { stock 1; } } '
           . "sweepstakes spring { $when $more eligible \$http_x_who = good;"
           . " prize trip { stock 1; } }\n";
}

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is stopped: /], program => program());

my $wheel = Loyalty::Instant->new($t, 'wheel');

sub play { return $wheel->play('ada', $_[0]) }

sub enter {
    my ($key, $who) = @_;

    return $t->post('/loyalty/sweepstakes/spring/entries', { tickets => 2 },
                    headers => { 'X-Member' => 'ada', 'Idempotency-Key' => $key,
                                 'X-Who' => $who // 'good' });
}

my %first = map { $_ => play($_) } qw(one two);
my $entry = enter('one');

is($_->status, 200, 'the first time') for values %first, $entry;
is(join(' ', sort map { $_->json->{outcome} } values %first), 'lose win',
   'one of them wins');

# the same bytes; another key is refused

sub known {
    my ($name, $play, $enter, $who) = @_;

    for my $key (qw(one two)) {
        my $r = play($key);
        is($r->body, $first{$key}->body, "$name: play $key");
        is($r->header('Idempotency-Replayed'), 'true', 'is a repeat');
    }

    my $r = enter('one', $who);
    is($r->body, $entry->body, "$name: the entry");
    is($r->header('Idempotency-Replayed'), 'true', 'is a repeat');
    is(play("new $name")->code, $play, 'no other play');
    is(enter("new $name", $who)->code, $enter, 'no other entry');
}

sub admin {
    is($t->post("/loyalty-admin/$_/$_[0]", {})->status, 200, "$_[0] $_")
        for 'games/wheel', 'sweepstakes/spring';
}

sub reload {
    $t->write_file('program.conf', program(@_));
    $t->reload(wait => 1);
}

known('sold out, not eligible', 'sold_out', 'not_eligible', 'bad');
admin('pause');
known('paused', 'paused', 'paused');
admin('resume');
reload(more => 'limit 9 per day;');
known('stopped', 'rules_changed', 'rules_changed');
reload(unsafe => '');
play('wait');
known('unsafe', 'unsafe_store', 'unsafe_store');
reload();

$t->wait_for(sub { play('wait')->code eq 'closed' }, 30);
known('closed', 'closed', 'closed');

done_testing();
