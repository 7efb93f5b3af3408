#!/usr/bin/perl

# Tickets that events are to bring: those of a campaign that is not known yet
# are not lost, and where there are none, the reply, the record, a counter and
# the log say why.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use JSON::PP ();
use Loyalty::MsgPack;
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-3600), at(86400 * 40));
my ($soon, $later, $ago) = (at(3600), at(7200), at(-5));

sub program {
    my ($limit) = @_;

    return <<END;
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 1;
challenge one { on purchase; goal 1; every day; award tickets spring 3; }
challenge early { on early; goal 1; every day; award tickets later 1; }
challenge late { on late; goal 1; every day; award tickets gone 2; }
sweepstakes spring {
    open $open; close $close; limit $limit per campaign; free_entry on;
    exclude_file %%TESTDIR%%/staff; prize mug { stock 1; }
}
sweepstakes later { open $soon; close $later; prize mug { stock 1; } }
sweepstakes gone { open $open; close $ago; prize mug { stock 1; } }
END
}

my $t = Loyalty::Test->new(
    start => 0, allow => [qr/is stopped: /],
    files => { secret => $Loyalty::Sweeps::SECRET, staff => "boss\n" },
    program => program(4), server => <<'END');
location /fair/ { loyalty_proof shop; }
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$arg_o;
    return 200 "bought\n";
}
END

sub event {
    my ($member, $type, $id) = @_;
    my $r = $t->event({ id => $id // "e-$member", member => $member,
                        type => $type // 'purchase' });
    $r->status == 200 or diag $r->body;
    return $r;
}

sub effects { return [grep { $_->{type} =~ /^tickets/ }
                      @{ $_[0]->json->{effects} }] }

sub refused {
    return $t->metrics->{'nginx_loyalty_awards_refused_total'
                         . "{program=\"shop\",reason=\"$_[0]\"}"};
}

sub lines { return scalar(() = $t->log =~ /$_[0]/g) }


# ---- nginx is there before Redis is ----

$t->redis_stop;
$t->start;
is($t->get('/buy?m=first&o=o-first')->status, 200, 'a purchase is observed');
is($t->event({ id => 'e-first', member => 'first', type => 'purchase' })
   ->status, 503, 'an event has to be sent again');
$t->redis_start;

my $s = Loyalty::Sweeps->new($t, 'spring');

sub own { return $s->show($_[0])->{own}{tickets} }

ok($t->wait_for(sub { own('first') }), 'the observed one has its tickets');
is(own('first'), 3, 'all of them');


# ---- something has changed in Redis ----

my ($tag) = map { /^(\{shop:g:spring:\w+\}):s$/ }
            @{ $t->redis->call('KEYS', '*:s') };

sub changed {
    my (%to) = @_;
    my ($raw, $at) = ($t->redis->call('GET', "$tag:s"), 0);
    my @state;

    while ($at < length $raw) {
        ($state[@state], $at) = Loyalty::MsgPack::decode_at($raw, $at);
    }

    if ($to{records}) {
        $state[1] = $to{records};
        Loyalty::Sweeps::fill($t, $tag, $to{records});
    }

    $state[3]++ if $to{generation};
    $t->redis->call('SET', "$tag:s", join '',
                    map { Loyalty::MsgPack::encode($_) } @state);
}

changed(generation => 1);
my $r = event('amy');
is($r->status, 200, 'an event waits until it is known what');
is_deeply(effects($r), [{ type => 'tickets', sweepstakes => 'spring',
                          first => 3, count => 3 }], 'no ticket is lost');

changed(generation => 1);
$t->get('/buy?m=ben&o=o-ben');
ok($t->wait_for(sub { own('ben') }), 'nor one of an observed event');

changed(generation => 1);
my ($line) = $t->events([{ id => 'b', member => 'bea',
                           type => 'purchase' }])->lines;
is($line->{status}, 503, 'a line of a batch does not wait') or diag explain $line;
is($line->{code}, 'unavailable', 'for those behind it');
ok($t->wait_for(sub { ($t->events([{ id => 'b', member => 'bea',
    type => 'purchase' }])->lines)[0]{status} == 200 }), 'it comes again');
is(own('bea'), 3, 'with its tickets');


# ---- no tickets, and why ----

sub none {
    my ($why, $count, $name, $member, $type) = @_;
    my $before = refused($why);
    my $r = event($member, $type);

    is_deeply(effects($r), [{ type => 'tickets_refused',
                              sweepstakes => $name, count => $count,
                              reason => $why }], "none: $why");
    is(refused($why), $before + 1, 'counted');

    is_deeply(effects(event($member, $type)), effects($r), 'a repeat');
    is(refused($why), $before + 1, 'is the same event');
}

none('not_open', 1, 'later', 'dan', 'early');
none('closed', 2, 'gone', 'dan2', 'late');
none('not_eligible', 3, 'spring', 'boss');

is($s->enter('eve', { tickets => 2, free => JSON::PP::true })->status, 200,
   'two of four');
none('limit_reached', 3, 'spring', 'eve');
is(own('eve'), 2, 'not even one of the three');

is($s->admin('pause')->status, 200, 'paused');
none('paused', 3, 'spring', "fay$_") for 1 .. 3;
is($s->admin('resume')->status, 200, 'resumed');
is(scalar @{ effects(event('fay4')) }, 1, 'and there are tickets');
is($t->me('fay1')->json->{wallets}{points}{balance}, 1, 'the event counted');

like($t->log, qr/\[warn\].*"shop": an award of 3 tickets of sweepstakes spring to/,
     'the log tells of one');
like($t->log, qr/to member "fay1" for "e-fay1" brought none, reason: paused, 0 more/,
     'of the first one');
is(lines("reason: $_"), 1, "one line: $_") for qw(paused not_open closed);
is(lines("reason: $_"), 0, "none, as it is meant: $_")
    for qw(limit_reached not_eligible);

my ($h) = grep { ($_->{id} // '') eq 'e-fay1' }
          @{ $t->history('fay1')->json->{history} };
is((grep { $_->{type} eq 'tickets_refused' } @{ $h->{effects} })[0]{reason},
   'paused', 'the history tells it');

my $sock = $t->dir . '/redis.sock';
like(`bin/loyalty-member --redis unix:$sock --program shop fay1`,
     qr/sweepstakes spring, 3 tickets not awarded: paused/, 'in words, too');

# an observed one

$s->admin('pause');
$t->get('/buy?m=gus&o=o-gus');
ok($t->wait_for(sub { refused('paused') == 4 }), 'counted when observed');
$s->admin('resume');


# ---- a node that has stopped the campaign ----

event('hal');
is(own('hal'), 3, 'tickets that will be reversed');

sub node {
    my ($limit, $pattern, $name) = @_;
    my $n = length $t->log;

    $t->write_file('program.conf', program($limit));
    $t->reload(wait => 1);
    ok($t->wait_for(sub { substr($t->log, $n) =~ $pattern }), $name);
}

node(5, qr/sweepstakes spring is stopped/, 'other terms, and no new version');
none('rules_changed', 3, 'spring', 'ida');
is($t->me('ida')->json->{wallets}{points}{balance}, 1, 'the event counted');
like($t->log, qr/\[error\].*to member "ida".*reason: rules_changed/,
     'an error tells it');

$r = $t->reversal('e-hal', { id => 'r-hal', member => 'hal' });
is($r->status, 503, 'a reversal that has to void tickets waits');
is($r->code, 'rules_changed', 'and says why');
is($t->me('hal')->json->{wallets}{points}{balance}, 1, 'nothing changed');
is($t->reversal('e-ida', { id => 'r-ida', member => 'ida' })->status, 200,
   'another does not');

node(4, qr/sweepstakes spring is ready/, 'mended');
$r = $t->reversal('e-hal', { id => 'r-hal', member => 'hal' });
is($r->status, 200, 'now it is reversed') or diag $r->body;
is(effects($r)->[0]{count}, -3, 'and the tickets are void');

like(`bin/loyalty-fsck --redis unix:$sock --program shop`,
     qr/ 0 violations/, 'every ledger holds');


# ---- many entries by other nodes ----

changed(records => 9000);
$t->get('/buy?m=cleo&o=o-cleo');
ok($t->wait_for(sub { own('cleo') }), 'an observed one, in another chunk');

is($t->metrics->{'nginx_loyalty_observed_refused_total{program="shop",'
                 . "reason=\"$_\"}"}, 0, "none was refused: $_")
    for qw(too_large failed);

done_testing();
