#!/usr/bin/perl

# Witnesses: the admin posts what they have cosigned, it is published when it
# holds, and loyalty-verify believes those whose keys its user pins.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../tests/verify";

use Loyalty::Instant;
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;

use Proof ();

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my $t = Loyalty::Test->new(
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/relay|round/],
    program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_relay%%;
instant_win scratch {
    open @{[at(3600)]};  close @{[at(7200)]};  draw odds;
    prize mug { stock 3; odds 1/2; }
}
sweepstakes spring {
    open @{[at(-600)]};  close @{[at(7200)]};  prize trip { stock 1; }
}
END

my $scratch = Loyalty::Instant->new($t, 'scratch');
my $spring = Loyalty::Sweeps->new($t, 'spring');
my $witness = Proof::witness('witness.example/one');
my $other = Proof::witness('witness.example/two');
my $now = time;


# the line as it stands below a note

sub line {
    my ($who, $note, $time) = @_;
    my $line = Proof::cosign($who, 'x', 0, $note, ($time // $now) * 1000);
    chomp $line;
    $line =~ s/^x 0 /\xe2\x80\x94 / or die "no cosignature\n";
    utf8::decode($line);
    return $line;
}

chomp(my $key = Proof::vkey($witness, 4));
chomp(my $others = Proof::vkey($other, 4));

sub post {
    my ($path, %body) = @_;
    $body{key} //= $key;
    return $t->post("/loyalty-admin/$path/cosignature", \%body,
                    headers => { 'X-Actor' => 'ops' });
}

sub published {
    my ($who, $kind, $n, $note) = @_;
    return Proof::cosign($who, $kind, $n, $note, $now * 1000);
}


# ---- an instant win ----

my $note = $scratch->file('manifest');
my $line = line($witness, $note);
my $r = post('games/scratch', cosignature => $line);

is($r->status, 200, 'a cosignature') or diag $r->body;
is_deeply($r->json, { for => 'manifest', number => 1, time => at($now - time),
                      witness => 'witness.example/one' }, 'whose and when');
is($scratch->file('cosignatures'), published($witness, 'manifest', 1, $note),
   'it is published');
is(post('games/scratch', cosignature => $line)->status, 200, 'again');

is(post('games/scratch', cosignature => line($other, $note), key => $others,
        for => 'manifest', number => 1)->status, 200, 'another one');
is($scratch->file('cosignatures'),
   published($witness, 'manifest', 1, $note)
   . published($other, 'manifest', 1, $note), 'each once');

my $feed = join "\n", map { join ' ', @{ $_->[1] } }
           @{ $t->redis->call('XRANGE', '{shop}:feed', '-', '+') };

like($feed, qr/^a ops w cosignature o scratch d manifest 1 witness\.example/m,
     'the feed has it, with who posted it');

my $manifest = $spring->file('manifest');
my ($half) = $line =~ /^(.{60})/;

for (
    ['no key of a witness', qr/not a witness's key/,
     key => Proof::vkey($witness, 1) =~ s/\n//r],
    ['a key that was cut off', qr/not a witness's key/,
     key => substr $key, 0, 60],
    ['another key', qr/is of another key/, key => $others],
    ['the line of another note', qr/is not of this note/,
     cosignature => line($witness, $manifest)],
    ['half a line', qr/not a cosignature's line/, cosignature => $half],
    ['a line of text', qr/not a cosignature's line/,
     cosignature => 'it is good'],
    ['a note that is none', qr/"for.*" is not a note/, for => 'dinner'],
    ["a sweepstakes' note", qr/"for.*" is not a note/, for => 'close'],
)
{
    my ($what, $says, %body) = @$_;
    my $bad = post('games/scratch', cosignature => $line, %body);

    is($bad->code, 'invalid_field', $what) or diag $bad->body;
    like($bad->json->{detail}, $says, "$what: says so");
}

is(post('games/scratch', cosignature => $line, number => 2)->code, 'not_open',
   'a version that there is not');
is(post('games/spring', cosignature => $line)->code, 'unknown_game',
   'no such game');
is($scratch->file('cosignatures') =~ tr/\n//, 2, 'nothing of it is published');

my $file = "{shop:g:scratch:$scratch->{cid}}:f:cosignatures";
my $kept = $t->redis->call('GET', $file);
$t->redis->call('SETRANGE', $file, 262100, "\n");
is(post('games/scratch', cosignature => line($witness, $note, $now + 1))
   ->code, 'limit_reached', 'a file that is full');
$t->redis->call('SET', $file, $kept);


# ---- a sweepstakes ----

is(post('sweepstakes/spring', cosignature => line($witness, $manifest))
   ->code, 'not_open', 'no close note yet');
is(post('sweepstakes/spring', cosignature => line($witness, $manifest),
        for => 'dq')->code, 'not_open', 'nobody disqualified');
is(post('sweepstakes/spring', cosignature => line($witness, $manifest),
        for => 'manifest')->json->{number}, 1, 'of its manifest');
is($spring->file('cosignatures'),
   published($witness, 'manifest', 1, $manifest), 'published');


# ---- what a stranger makes of it ----

my $keys = Proof::spew($t->dir . '/witness', Proof::vkey($witness, 4));
my $save = $scratch->save($t->dir . '/proof');
my $single = qr/nothing shows that manifest 1/;

my @verifiers = Proof::verify_program();
push @verifiers, 'page' if -f Proof::build() . '/verify-node.mjs';

for my $one (@verifiers) {
    my $ask = sub {
        return $one eq 'page' ? Proof::page_says(@_, $save)->{text}
                              : Proof::command_says($one, @_, $save)->{text};
    };

    like($ask->(), $single, 'nobody who is trusted has seen it');

    my $text = $ask->('--witness', $keys);

    unlike($text, $single, 'a witness has');
    is(join(' ', $text =~ /^(V\d\d) FAIL/mg), '', 'nothing fails');

    # the operator publishes what the witness has not signed

    my $forged = $scratch->file('cosignatures');
    $forged =~ s/^(manifest 1 \S+ .{40})(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e;
    Proof::spew("$save/cosignatures", $forged);
    like($ask->('--witness', $keys), qr/^V04 FAIL .* is of another note/m,
         'what it has not signed is held against the draw');
    Proof::spew("$save/cosignatures", $scratch->file('cosignatures'));
}

done_testing();
