#!/usr/bin/perl

# Whatever the admin changes about a sweepstakes is on the program's feed, with
# who did it; what changes nothing because it is refused at sight is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Loyalty::CA;
use Loyalty::FakeTSA;
use Loyalty::Fairness qw(H);
use Loyalty::Sweeps;
use Loyalty::Test;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $now = int time;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($now + $_[0])) }

my $t = Loyalty::Test->new(
    start => 0, files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }', program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
sweepstakes spring { open @{[at(-600)]}; close @{[at(7200)]};
                     prize trip { stock 1; } }
sweepstakes past { open @{[at(-7200)]}; close @{[at(-60)]};
                   prize trip { stock 3; } alternates 1; }
sweepstakes six { open @{[at(-7200)]}; close @{[at(-60)]};
                  prize trip { stock 6; } }
END

my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => Loyalty::CA->new);

Loyalty::Sweeps::plant($t, $_, $now - 7200, [map { ["m$_", 1] } 1 .. 6])
    for qw(past six);
$t->start;

my ($spring, $past) = map { Loyalty::Sweeps->new($t, $_) } qw(spring past);
ok($past->wait_for_state('drawn', 20), 'one is drawn');


# each by somebody else: what is done, the line that tells it, and the answer

my $who = 0;
my @lines;

sub done {
    my ($s, $path, $body, $what, $details, $answer, $type) = @_;
    my $actor = 'ops ' . ++$who;

    my $r = $s->admin($path, $body, headers => { 'X-Actor' => $actor,
                      $type ? ('Content-Type' => $type) : () });
    is($r->code // $r->status, $answer // 200, "$s->{name}: $path")
        or diag $r->body;
    push @lines, [$actor, $what, $s->{name}, $details] if $what;
}

sub token {
    my ($s) = @_;
    return encode_base64($tsa->stamp(H($s->file('manifest'))), '');
}

done($spring, 'entries', qq({"member":"a","tickets":2,"id":"p"}\n), 'entries',
     '', 200, 'application/x-ndjson');
done($spring, 'pause', {}, 'pause', '');
done($spring, 'resume', {}, 'resume', '');
done($spring, 'timestamp', { token => token($spring), for => 'manifest',
                             number => 1 }, 'timestamp', 'manifest 1');
done($spring, 'close', {}, 'close', '', 'not_open');
done($spring, 'draw', {}, 'draw', '', 'not_open');
done($past, 'close', {}, 'close', '');
done($past, 'draw', {}, 'draw', '');
done($past, 'winners/1/claim', {}, 'claim', '1');
done($past, 'winners/1/deliver', {}, 'deliver', '1');
done($past, 'disqualifications', { position => 2, reason => 'unreachable' },
     'disqualify', 'position 2, unreachable');
done($past, 'timestamp', { token => encode_base64($tsa->stamp(
     H($past->file('dq'))), ''), for => 'dq', number => 1 },
     'timestamp', 'dq 1');

done($past, 'disqualifications', { position => 2, reason => 'nice' }, undef,
     undef, 'invalid_field');
done($past, 'timestamp', { token => '%' }, undef, undef, 'invalid_field');
done($past, 'winners/x/claim', {}, undef, undef, 'unknown_path');
done($spring, 'entries', {}, undef, undef, 'unsupported_type');

my @feed = map { my %f = @{ $_->[1] }; [@f{qw(a w o d)}] }
           @{ $t->redis->call('XRANGE', '{shop}:feed', '-', '+') };

is_deeply(\@feed, \@lines, 'all of it is on the feed, with its actor')
    or diag explain \@feed;

is($past->statement('dq') =~ /ops 11/ ? 1 : 0, 1,
   'who disqualified somebody is published');


# one who has no name changes nothing

my $r = $spring->admin('pause', {}, headers => { 'X-Actor' => "\x07" });
is($r->code, 'invalid_field', 'an actor without a name');
is($spring->show->{state}, 'open', 'does not pause');


# the codes of reasons, as they are published

my $six = Loyalty::Sweeps->new($t, 'six');
ok($six->wait_for_state('drawn', 20), 'six winners');
my @reasons = qw(ineligible unreachable unclaimed declined fraud excluded);

for my $i (0 .. 5) {
    $r = $six->admin('disqualifications', { position => $i,
        reason => $reasons[$i], evidence => sprintf '%02x' x 32, (16 + $i) x 32 });
    is($r->status, 200, "disqualified: $reasons[$i]") or diag $r->body;

    my ($k, $position, $reason, $actor, $evidence) =
        unpack 'x35 N x8 N x40 n N/a a32', $six->statement('dq');
    is("$k $position $reason $actor", $i + 1 . " $i @{[$i + 1]} admin",
       'its number, position, code and actor');
    is($evidence, chr(16 + $i) x 32, 'and its evidence');
}

is($six->file('picks') =~ s/^(?!vacant).*\n//mgr,
   join('', map { "vacant $_ 0\n" } 0 .. 5), 'and nobody is left');

done_testing();
