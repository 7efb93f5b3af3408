#!/usr/bin/perl

# Two servers whose configurations differ.  The one that leads hears of a
# version that the other one registers, also where nobody plays by it, and does
# not close a draw by terms that hold no more.  Each has then stopped a draw
# that the other one can serve: they lead in turns, and all are drawn.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Fairness;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

my $open = at(time - 60);
my $close = time + 8 * Loyalty::Test->slow;

sub program {
    my ($redis, %draw) = @_;

    return "$redis secret_file %%TESTDIR%%/secret; unsafe_store on;\n"
           . join '', map { ($_ eq 'game' ? 'instant_win' : 'sweepstakes')
                            . " $_ { open $open; "
                            . "close @{[at($close)]}; $draw{$_} }\n" }
             sort keys %draw;
}

my %common = (files => { secret => 'main:' . 'ab' x 32 . "\n" },
              server => 'location /fair/ { loyalty_proof shop; }');

my $mug = 'prize mug { stock 1; }';
my $odds = 'draw odds; prize mug { odds 1/2; }';

my $t = Loyalty::Test->new(%common,
    program => program('redis unix:%%REDIS%%;', one => $mug, two => $mug,
                       game => $odds));

my $redis = $t->expand('%%REDIS%%');

sub state {
    my ($nginx, $draw) = @_;
    my $what = $draw eq 'game' ? 'games' : 'sweepstakes';
    my $r = $nginx->get("/loyalty-admin/$what/$draw");

    return $r->status == 200 ? $r->json->{stopped} // $r->json->{state}
                             : $r->code;
}

sub reach {
    my ($nginx, $draw, $state, $name) = @_;

    ok($t->wait_for(sub { state($nginx, $draw) eq $state }, 40), $name)
        or diag("$draw is ", state($nginx, $draw));
}

reach($t, $_, 'open', "$_ is open") for qw(one two game);
ok($t->wait_for(sub { $t->log =~ /this worker leads/ }), 'and led');

my $other = Loyalty::Test->new(%common, redis => 0,
    program => program("redis unix:$redis;", one => "$mug alternates 1;",
                       two => "version 2; $mug alternates 1;",
                       game => "version 2; limit 1 per day; $odds"));

reach($other, 'two', 'open', 'another node has a new version');
reach($other, 'one', 'rules_changed', 'and cannot serve the first');
reach($t, $_, 'stale_configuration', "the leader hears of it: $_")
    for qw(two game);

my ($cid) = $t->get('/fair/games')->body =~ /^two (\w+)/m;

reach($t, 'one', 'drawn', 'the one draws the first');
reach($other, 'two', 'drawn', 'the other the second');

my @manifests = map { decode_base64((split /\n/)[1]) }
                $t->get("/fair/two/$cid/manifest")->body =~ /(.*?\n\n.*?\n)/gs;
my $close_note = decode_base64((split /\n/,
                                $t->get("/fair/two/$cid/close")->body)[1]);

is(scalar @manifests, 2, 'of two manifests');
is(unpack('H*', substr $close_note, length T('close'), 32),
   unpack('H*', H($manifests[1])), 'it is closed by the second');

done_testing();
