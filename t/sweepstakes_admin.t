#!/usr/bin/perl

# The admin API on a sweepstakes: entries from elsewhere, pausing; and what
# stops a campaign: another version, other terms, a clock that is off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use JSON::PP ();
use Loyalty::Fairness qw(entries entry_commit);
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time sleep);

my $true = JSON::PP::true;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-3600), at(86400));

sub program {
    my ($version, $limit, $more) = @_;
    return <<END . ($more // '');
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
challenge buyer { on purchase; goal 1; every day; award tickets spring 2; }
sweepstakes spring {
    open $open; close $close; version $version;
    cost points 50; free_entry on; limit $limit per campaign;
    exclude_file %%TESTDIR%%/staff;
    prize trip { stock 2; }
}
END
}

my $t = Loyalty::Test->new(
    workers => 2,
    files => { secret => $Loyalty::Sweeps::SECRET, staff => "boss\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is stopped: /],
    program => program(1, 10),
);

my $s = Loyalty::Sweeps->new($t, 'spring');

sub import_lines {
    my (@lines) = @_;

    return $s->admin('entries',
        join('', map { (ref $_ ? JSON::PP::encode_json($_) : $_) . "\n" }
             @lines),
        headers => { 'Content-Type' => 'application/x-ndjson' });
}

sub line { my ($m, $n, $id) = @_;
           return { member => $m, tickets => $n, id => $id } }

# imported

my $r = import_lines(line('ada', 3, 'paper-1'), '', line('bob', 2, 'paper-2'),
                     line('ada', 1, 'paper-3'));
is($r->status, 200, 'three lines') or diag $r->body;
is_deeply($r->json, { sweepstakes => 'spring', entered => 3, tickets => 6,
                      duplicates => 0, refused => 0, lines => [] },
          'entered');
my @e = entries($s->file('entries'));
is_deeply([map { [@$_{qw(first tickets method)}] } @e],
          [[0, 3, 4], [3, 2, 4], [5, 1, 4]], 'method 4');
is($s->show('ada')->{own}{tickets}, 4, 'they are the member\'s');
is($t->me('ada')->json->{wallets}{points}{balance}, 0, 'without a price');

$r = import_lines(line('ada', 3, 'paper-1'), line('bob', 2, 'paper-2'),
                  line('ada', 5, 'paper-3'), line('boss', 1, 'paper-4'),
                  line('cy', 11, 'paper-5'), line('cy', 10, 'paper-6'));
is_deeply($r->json, { sweepstakes => 'spring', entered => 1, tickets => 10,
    duplicates => 2, refused => 3, lines => [
        { line => 3, code => 'idempotency_conflict' },
        { line => 4, code => 'not_eligible' },
        { line => 5, code => 'limit_reached' }] },
    'sent again: each id once, the caps of all others') or diag $r->body;

for my $case (['no JSON', qr/^line 2: /], ['[1]', qr/^line 2: /],
              [{ member => 'x', tickets => 1 }, qr{^line 2, /id: }],
              [{ member => 'x', tickets => 0, id => 'q' },
               qr{^line 2, /tickets: }],
              [{ member => 'x', tickets => 1, id => 'q', more => 1 },
               qr{^line 2, /more: }])
{
    $r = import_lines(line('ada', 3, 'paper-1'), $case->[0],
                      line('zoe', 1, 'never'));
    is($r->status, 400, 'a line that is wrong');
    like($r->json->{detail}, $case->[1], 'is named');
}

is($s->show('zoe')->{own}{tickets}, 0, 'and those behind it did not enter');
is($s->admin('entries', {})->code, 'unsupported_type', 'no lines');
is($t->post('/loyalty-admin/sweepstakes/none/entries', '',
            headers => { 'Content-Type' => 'application/x-ndjson' })->code,
   'unknown_game', 'no such sweepstakes');

$r = import_lines(map { line("crowd$_", 1, "p$_") } 1 .. 500);
is($r->json->{entered}, 500, 'five hundred');
is($s->show->{entries}, 504, 'are entered');

# the feed names who did what

my ($feed) = map { $_->[1] }
             @{ $t->redis->call('XREVRANGE', '{shop}:feed', '+', '-',
                                'COUNT', 1) };
like(join(' ', @$feed), qr/entries .*spring/, 'on the feed');

# pause, resume

$r = $s->admin('pause', {});
is($r->json->{state}, 'paused', 'paused') or diag $r->body;
is($s->enter('ada', { tickets => 1, free => $true })->code, 'paused',
   'nobody enters');
is(import_lines(line('dan', 1, 'paper-9'))->code, 'paused',
   'nor by the admin');
$r = $t->event({ id => 'e1', member => 'ed', type => 'purchase' });
is($r->status, 200, 'an event counts');
is_deeply([map { $_->{type} . ' ' . ($_->{reason} // '') }
           @{ $r->json->{effects} }],
          ['challenge ', 'tickets_refused paused'], 'without tickets');
is($s->show->{state}, 'paused', 'it shows');
is($s->admin('pause', {})->json->{state}, 'paused', 'twice');
is($s->admin('resume', {})->json->{state}, 'open', 'resumed');
is($s->enter('ada', { tickets => 1, free => $true })->status, 200,
   'and entered');
is($t->get('/loyalty-admin/sweepstakes/spring')->json->{entries}, 505,
   'where it stands');

# a clock that is off: the library believes Redis's

sub skewed {
    my ($ms) = @_;
    my ($H) = $t->redis->call('FUNCTION', 'LIST')->[0][1] =~ /_(\w+)$/;
    my ($lib) = map { my %l = @$_; $l{library_code} }
                @{ $t->redis->call('FUNCTION', 'LIST', 'WITHCODE') };

    $lib =~ s/return t\[1\] \* 1000 \+ .*/$& + $ms/ or die "no clock\n";
    $t->redis->call('FUNCTION', 'LOAD', 'REPLACE', $lib);
}

skewed(10_000);
$r = $s->enter('rich', { tickets => 1, free => $true });
is($r->code, 'clock_skew', 'a clock 10 s off');
is($r->status, 503, 'nothing was done');
skewed(-10_000);
is($s->show->{entries}, 505, 'nothing was entered');
is($s->enter('rich', { tickets => 1, free => $true })->status, 200,
   'and put right');

# the next version: another limit, at once

$t->write_file('program.conf', program(2, 20));
$t->reload(wait => 1);
ok($t->wait_log(qr/registered version 2 of sweepstakes spring/),
   'version 2');
ok($t->wait_for(sub { $s->enter('cy', { tickets => 5, free => $true })
                      ->status == 200 }), 'has its own limit');
is($s->show->{commitments}{version}, 2, 'and is committed to');
is(() = $s->file('manifest') =~ /^nginx-loyalty\/1 manifest$/mg, 2,
   'two manifests');

# the same version with other terms

$t->write_file('program.conf', program(2, 30));
$t->reload(wait => 1);
$r = $s->enter('cy', { tickets => 1, free => $true });
is($r->code, 'rules_changed', 'changed terms without a version')
    or diag $r->body;
is($t->me('cy')->status, 200, 'the rest runs');
$r = $t->event({ id => 'e2', member => 'fay', type => 'purchase' });
is($r->status, 200, 'events count');
ok(!(grep { $_->{type} eq 'tickets' } @{ $r->json->{effects} }),
   'without tickets');

# an older version

$t->write_file('program.conf', program(1, 10));
$t->reload(wait => 1);
$r = $s->enter('cy', { tickets => 1, free => $true });
is($r->code, 'stale_configuration', 'an older node') or diag $r->body;
is($r->status, 503, 'is to be reloaded');

# another secret

$t->write_file('program.conf', program(2, 20));
$t->write_file('secret', 'main:' . 'a5' x 32 . "\n");
$t->reload(wait => 1);
$r = $s->enter('cy', { tickets => 1, free => $true });
is($r->status, 503, 'another secret') or diag $r->body;
is($s->show('cy')->{stopped}, 'rules_changed', 'which is told');
like($t->log, qr/\[emerg\].*spring/, 'it is an [emerg]');
$t->allow(qr/\[emerg\].*spring/);

done_testing();
