#!/usr/bin/perl

# A campaign is registered once: what a node does that has other terms, an
# older version, or another secret; and that a secret is nowhere.

use strict;
use warnings;
no warnings "portable";

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256 sha256_hex);
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;

my $hex = 'c0ffee' . '0123456789' x 5 . 'abcdefab';
my $other = 'beef' . '0123456789' x 6;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my $open = at(-3600);
my $close = at(3600);


sub program {
    my ($block, $more) = @_;

    return "secret_file %%TESTDIR%%/secret;\nunsafe_store on;\nwallet points;\n"
           . ($more // '') . "instant_win scratch {\n    open $open;\n"
           . "$block\n}\n";
}


my $terms = "    close $close;\n    version 1;\n    draw odds;\n    limit 3 per day;\n"
          . "    prize mug { stock 10; odds 1/2; }";

my $t = Loyalty::Test->new(
    files => { secret => "main:$hex\n" },
    program => program($terms),
    workers => 2,
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is stopped: /],
);

ok($t->wait_log(qr/instant_win scratch is ready, version 1/), 'ready');
$t->wait_for(sub { $t->get('/fair/games')->status == 200 });

my ($cid) = $t->get('/fair/games')->body
          =~ /^scratch ([0-9a-f]{32}) instant_win open$/;
ok($cid, 'the campaign is told of');

sub file { return $t->get("/fair/scratch/$cid/$_[0]")->body }
sub log_of { my ($n) = @_; return substr $t->log, $n }

# the next nginx with another program, and what it says of the campaign
sub next_is {
    my ($program, $pattern, $name) = @_;
    my $n = length $t->log;
    my %old = map { $_ => 1 } $t->workers;

    $t->write_file('program.conf', $program);
    $t->reload;

    # all of the next workers say so
    return ok($t->wait_for(sub {
        my @new = $t->workers;
        my $log = log_of($n);
        @new == 2 && !grep { $old{$_} || $log !~ /\b$_#.*$pattern/ } @new;
    }), $name) || diag(log_of($n));
}


# a play: its status and its code
my $plays = 0;

sub play {
    my $r = $t->post('/loyalty/games/scratch/plays', undef, headers =>
        { 'X-Member' => 'm' . ++$plays, 'Idempotency-Key' => "k$plays" });
    return $r->status . ' ' . ($r->json->{code} // $r->json->{outcome});
}


# ---- what was registered ----

like(play(), qr/^200 (?:win|lose)$/, 'it is played');

is(() = $t->log =~ /registered version 1/g, 1, 'by one of the workers');

my $manifest = decode_base64((split /\n/, file('manifest'))[1]);
is(length $manifest, 344, 'a manifest');
is(file('terms-1'), "timezone UTC;\ninstant_win scratch {\nopen $open;\n"
   . "close $close;\nversion 1;\ndraw odds;\nlimit 3 per day;\nprize mug {\nstock 10;\n"
   . "odds 1/2;\n}\n}\n", 'terms, as they were read');
is(index($manifest, sha256(file('terms-1'))), 135, 'their hash is in it');
is(index($manifest, sha256(file('prizes-1'))), 167, 'and that of the prizes');
is(unpack('H*', substr $manifest, 25, 16), $cid, 'and the cid');
is(file('vkey'), $t->get('/fair/vkey')->body, 'the key of the program');

my $one = file('manifest');


# ---- a reload, and other terms ----

next_is(program($terms), qr/scratch is ready, version 1/, 'a reload');
is(file('manifest'), $one, 'registers nothing');

next_is(program("\n\n" . ($terms =~ s/ +/  /gr)), qr/is ready, version 1/,
        'nor do spaces and empty lines');

next_is(program($terms =~ s/3 per day/4 per day/r),
        qr/scratch is stopped: version 1 is registered with other terms \(terms\)/,
        'a changed limit stops it');
like($t->log, qr/\[error\].*scratch is stopped: version 1.*"version 2" is/,
     'as an error that says what is expected');
is($t->event({ id => 'e1', member => 'm', type => 'x' })->status, 200,
   'the rest runs');
is(play(), '503 rules_changed', 'nobody plays');
is($t->metrics->{'nginx_loyalty_draw_stopped{program="shop",game="scratch"}'},
   1, 'and is counted');
next_is(program($terms =~ s/stock 10/stock 11/r),
        qr/with other terms \(prizes, terms\)/, 'a changed stock');
next_is(program($terms =~ s/\Q$close\E/at(7200)/er),
        qr/with other terms \(close, terms/, 'a changed close');
next_is(program($terms, "timezone Europe/Madrid;\n"),
        qr/with other terms \(terms\)/, 'days of another zone');
is(file('manifest'), $one, 'nothing was registered');


# ---- versions ----

next_is(program($terms =~ s/version 1/version 3/r),
        qr/stopped: version 3 needs a version 2/, 'no version is left out');

my $two = $terms =~ s/version 1/version 2/r =~ s/stock 10/stock 20/r;
next_is(program($two), qr/scratch is ready, version 2/, 'version 2');
is(() = $t->log =~ /registered version 2/g, 1, 'is registered');
like(file('manifest'), qr/^\Q$one\E./s, 'behind the first');
my $second = decode_base64((split /\n/, substr file('manifest'),
                                                length $one)[1]);
is(unpack('N', substr $second, 41, 4), 2, 'its number');
is(substr($second, 45, 32), sha256($manifest), 'it follows the first');
like(file('terms-2'), qr/^stock 20;$/m, 'its terms');
like(file('terms-1'), qr/^stock 10;$/m, 'and those before');

next_is(program($terms),
        qr/stopped: this node has version 1 of its terms, and version 2 is/, 'an older node is stale');
is(() = $t->log =~ /registered version/g, 2, 'and registers nothing');
is(play(), '503 stale_configuration', 'nobody plays');

my $three = $two =~ s/version 2/version 3/r;
next_is(program($three =~ s{odds 1/2;}{}r =~ s{draw odds}{draw deck blanks=5}r),
        qr/stopped: no version may change the draw/,
        'what no version may change');
like($t->log, qr/registered version 2/, 'and there is no version 3');
next_is(program($three), qr/scratch is ready, version 3/, 'version 3');


# ---- secrets ----

$t->write_file('secret', "new:$other\nmain:$hex\n");
next_is(program($three), qr/scratch is ready, version 3/,
        'a new secret before the old one');
isnt(file('vkey'), $t->get('/fair/vkey')->body,
     'the campaign keeps its key, new ones have the new one');

$t->write_file('secret', "main:$other\n");
next_is(program($three),
        qr/stopped: the secret "main" is not the one that it began with/, 'a wrong secret');

$t->write_file('secret', "new:$hex\n");
next_is(program($three),
        qr/stopped: it began with the secret "main", which is not in the/, 'a lost secret');
is($t->event({ id => 'e2', member => 'm', type => 'x' })->status, 200,
   'the rest runs');

$t->write_file('secret', "main:$hex\n");
next_is(program($three), qr/scratch is ready, version 3/, 'it is back');
like(play(), qr/^200 /, 'and is played');


# ---- Redis loses it ----

my %kept = map { $_ => $t->redis->call('DUMP', $_) }
           @{ $t->redis->call('KEYS', '{shop:g:*') };

$t->redis->call('DEL', keys %kept);

# the leader asks
ok($t->wait_log(qr/\[emerg\].*stopped: Redis has lost it/), 'it is lost');
is(play(), '503 unavailable', 'nobody plays');
is_deeply($t->redis->call('KEYS', '{shop:g:*'), [], 'and not begun anew');

my $n = length $t->log;
$t->redis->call('RESTORE', $_, 0, $kept{$_}) for keys %kept;
ok($t->wait_for(sub { log_of($n) =~ /scratch is ready, version 3/ }),
   'it is back with its data');


# ---- the secret is nowhere ----

$t->stop;

for ($t->log, map { $t->read_file($_) } qw(access.log nginx.conf)) {
    unlike($_, qr/c0ffee|\xc0\xff\xee/i, 'not in a log');
}

$t->start;

for my $key (@{ $t->redis->call('KEYS', '*') }) {
    my $dump = $t->redis->call('DUMP', $key);
    unlike($dump, qr/c0ffee|\xc0\xff\xee/i, "not in $key");
}

# what a core dump would hold: pages that are not marked "dd"
sub mapped {
    my ($pid) = @_;
    my ($found, %range);

    open my $maps, '<', "/proc/$pid/smaps" or return;

    my $range;
    while (<$maps>) {
        $range = [hex $1, hex $2] if /^([0-9a-f]+)-([0-9a-f]+) r/;
        next if !/^VmFlags: (.*)/ || !$range;
        $range{"$range->[0] $range->[1]"} = $1 =~ /\bdd\b/ ? 1 : 0;
        $range = undef;
    }

    open my $mem, '<:raw', "/proc/$pid/mem" or return;

    my %hits = (0 => 0, 1 => 0);

    for my $r (keys %range) {
        my ($from, $to) = split ' ', $r;
        next if $to - $from > 64 << 20;
        sysseek $mem, $from, 0 or next;
        sysread $mem, my $bytes, $to - $from or next;
        $hits{$range{$r}}++ if index($bytes, pack 'H*', $hex) >= 0
                               || $bytes =~ /c0ffee0123456789/;
    }

    return \%hits;
}

$t->wait_log(qr/ready/);

SKIP: {
    my ($worker) = $t->workers;
    my $hits = mapped($worker) or skip 'memory cannot be read', 2;

    is($hits->{0}, 0, 'not where a core dump finds it');
    cmp_ok($hits->{1}, '>', 0, 'but where none does');
}


done_testing();
