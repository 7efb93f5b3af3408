#!/usr/bin/perl

# The secret, and what derives from it before it is published, is in no log,
# no reply, no key of Redis, and in no memory that a core dump of nginx holds:
# after plays, entries, receipts, heads, reveals and mistakes.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA;
use Loyalty::Fairness qw(T H HMAC lp u32);
use Loyalty::Instant;
use Loyalty::Sweeps;
use Loyalty::Test;
use MIME::Base64 qw(encode_base64);
use Test::More;

# no byte of it is in a word of any language

my $master = H('a secret that is nowhere');
my $hex = unpack 'H*', $master;
my ($open, $close) = (Loyalty::Instant::at(-118), Loyalty::Instant::at(3600));

$ENV{LOYALTY_LOG} = 'debug';

my $t = Loyalty::Test->new(
    files => { secret => "main:$hex\n", bad => "main:${hex}0\n" },
    workers => 2,
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 1 per=1.00;
instant_win wheel {
    open $open;  close $close;  draw odds;
    prize car { stock 3; odds 1/5; }  prize pen { odds 1/2; }
}
instant_win calendar {
    open $open;  close $close;  draw moments;  prize mug { stock 500; }
}
sweepstakes spring {
    open $open;  close $close;  cost points 1;  free_entry on;
    prize trip { stock 1; }
}
END

my @replies;


# ---- much of what nginx can be asked ----

my %g = map { $_ => Loyalty::Instant->new($t, $_) } qw(wheel calendar);
my $spring = Loyalty::Sweeps->new($t, 'spring');

push @replies, $t->event({ id => "e$_", member => "m$_", type => 'purchase',
                           amount => '20.00' }) for 1 .. 4;

for my $n (1 .. 12) {
    push @replies, map { $_->play("m$n", "key $n") } values %g;
    push @replies, $spring->enter("m$n", { tickets => 2 });
}

push @replies, $g{wheel}->play('m1', 'key 1'), $g{wheel}->play('m1', ''),
    $spring->enter('m1', { tickets => -1 }),
    $t->get('/fair/nothing'), $t->get('/loyalty/games/nothing'),
    $spring->admin('draw', {}), $spring->admin('timestamp', { token => 'x' }),
    $t->me('m1'), $t->history('m1'), $t->get('/metrics'),
    map { $t->get("/loyalty-admin/$_") } 'stats', 'games/wheel',
        'sweepstakes/spring';

ok($t->wait_for(sub { ($g{wheel}->file('reveal') // '') =~ /^c 1 1 /m
                      && $g{wheel}->file('heads') }, 15),
   'heads are signed, the secret of an epoch is revealed');

for my $one (values %g, $spring) {
    push @replies, map { $one->fetch($_) } qw(manifest terms-1 prizes-1 heads
        reveal log entries proof?seq=1);
}

push @replies, $t->get('/fair/vkey'), $t->get('/fair/games');

cmp_ok(scalar(grep { $_->status == 200 } @replies), '>', 45, 'it was answered');


# ---- what nobody may find ----

# HMAC begins with the hash of the key and a constant: who has these two needs
# no key

sub states {
    my ($key) = @_;

    return map {
        my $pad = $_;
        my $sha = Digest::SHA->new(256);
        $sha->add(($key . "\0" x 32) ^ ($pad x 64));
        my ($words) = $sha->getstate =~ /^H:(\S+)/m;
        pack 'V*', unpack 'N*', pack 'H*', $words =~ s/://gr;
    } "\x36", "\x5c";
}

my ($cid, $of_spring) = map { pack 'H*', $_->{cid} } $g{wheel}, $spring;
my $epochs = 62;
my ($shown) = $g{wheel}->file('reveal') =~ /.*^c 1 (\d+) /ms;
my $c = HMAC($master, T('chain-tip') . $cid . u32(1) . u32($epochs));
my %secret = (
    'the secret' => $master,
    'the seed' => HMAC($master, T('draw-seed') . $of_spring . u32(1)),
    'the signing key' => HMAC($master, T('sign-key') . lp('shop')),
    'the end of the chain' => $c,
);

for my $e (reverse 1 .. $epochs) {
    $secret{'a secret of the chain'} = $c if $e == $shown + 10;
    $c = H(T('chain') . $cid . u32($e) . $c);
}

is(unpack('H*', $c),
   unpack('x303 H64', (split /\n/, $g{wheel}->file('manifest'))[1]
                      =~ s/(.*)/MIME::Base64::decode_base64($1)/er),
   'these are the keys: they lead to the anchor');

my %inside = %secret;
@inside{"$_, hashed", "$_, hashed for the outer hash"} = states($secret{$_})
    for keys %secret;


sub written {
    my ($bytes, $name) = @_;
    my @found;

    for my $what (sort keys %secret) {
        my $raw = $secret{$what};
        my $text = unpack 'H*', $raw;

        push @found, $what
            if index($bytes, $raw) >= 0 || index(lc $bytes, $text) >= 0
               || index($bytes, substr encode_base64($raw, ''), 0, 40) >= 0;
    }

    is("@found", '', $name);

    return;
}

written(join("\n", map { ($_->body // '') . join ' ', %{ $_->{headers} // {} } }
                   @replies), 'in no reply');

my $all = '';

for my $key (@{ $t->redis->call('KEYS', '*') }) {
    my $type = $t->redis->call('TYPE', $key);
    my $value = $type eq 'string' ? $t->redis->call('GET', $key)
              : $type eq 'hash' ? join ' ', @{ $t->redis->call('HGETALL', $key) }
              : $t->redis->call('DUMP', $key);
    $all .= "$key $value\n";
}

cmp_ok(length $all, '>', 10000, 'there is something in Redis');
written($all, 'not in Redis');

my ($ok, $output) = Loyalty::Test->check(
    files => { secret => "main:${hex}0\n" },
    program => "secret_file %%TESTDIR%%/secret;\nwallet points;\n");

ok(!$ok, 'a line that is too long');
written($output, 'is not told');


# ---- memory: what is not marked to be left out of dumps ----

sub memory {
    my ($pid) = @_;
    my (@range, %found);

    open my $maps, '<', "/proc/$pid/smaps" or return;

    while (<$maps>) {
        push @range, { from => hex $1, to => hex $2 }
            if /^([0-9a-f]+)-([0-9a-f]+) r/;
        $range[-1]{dumped} = !/\bdd\b/ if /^VmFlags: / && @range;
    }

    open my $mem, '<:raw', "/proc/$pid/mem" or return;

    for my $r (grep { $_->{to} - $_->{from} <= 64 << 20 } @range) {
        sysseek $mem, $r->{from}, 0 or next;
        sysread $mem, my $bytes, $r->{to} - $r->{from} or next;

        for my $what (keys %inside) {
            $found{ $r->{dumped} ? 'dumped' : 'left out' }{$what} = 1
                if index($bytes, $inside{$what}) >= 0;
        }

        $found{dumped}{'the secret in hex'} = 1
            if $r->{dumped} && index(lc $bytes, $hex) >= 0;
    }

    return \%found;
}

SKIP: {
    my @pids = ($t->pid, $t->workers);
    my @found = map { memory($_) } @pids;

    skip 'memory cannot be read', 4 if @found != @pids || $t->slow > 1;

    for my $found (@found) {
        is(join(', ', sort keys %{ $found->{dumped} // {} }), '',
           'in nothing that a core dump holds');
    }

    ok((grep { $_->{'left out'}{'the secret'} } @found),
       'where it is, no dump looks');
}

# and a dump as one is made

SKIP: {
    my ($gcore) = grep { -x } '/usr/bin/gcore';
    my ($worker) = $t->workers;
    my $core = $t->dir . '/core';

    skip 'there is no gcore', 2 if !$gcore || $t->slow > 1;

    system("$gcore -o $core $worker > $core.log 2>&1");
    skip 'a process cannot be dumped here', 2 if !-s "$core.$worker";

    my $bytes = $t->read_file("core.$worker");

    like($bytes, qr/sweepstakes spring/, 'a core dump of a worker');
    is(join(', ', grep { index($bytes, $inside{$_}) >= 0 } sort keys %inside),
       '', 'holds nothing of it');
    unlink "$core.$worker";
}

$t->stop;

written(join("\n", $t->log, map { $t->read_file($_) // '' }
                            qw(access.log nginx.conf program.conf)),
        'in no log');

done_testing();
