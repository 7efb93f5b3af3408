#!/usr/bin/perl

# loyalty-check on draws: what needs a new version, what would be another
# campaign, and a configuration that was loaded by mistake.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my ($open, $close) = (Loyalty::Instant::at(-600), Loyalty::Instant::at(7200));
my $later = Loyalty::Instant::at(-500);

my $first = <<"END";
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win wheel { open $open; close $close; draw odds; version 1;
    limit 3 per day; prize pen { stock 5; odds 1/10; } }
sweepstakes spring { open $open; close $close; rules_file %%TESTDIR%%/rules;
    prize trip { stock 1; } alternates 2; claim_within 1d; }
END

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . '5a' x 32 . "\n", rules => 'be fair' },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [ qr/is stopped: / ],
    program => $first);

Loyalty::Instant->new($t, 'wheel');
ok($t->wait_for(sub { $t->redis->call('HEXISTS', '{shop}:names', 'conf') }),
   'the program is known');

my $nginx = $ENV{LOYALTY_NGINX} // '/usr/sbin/nginx';


# exit status and words for the first program with a change
sub check {
    my (@change) = @_;
    my $program = $first;

    while (my ($from, $to) = splice @change, 0, 2) {
        $program =~ s/$from/$to/ or die "no $from\n";
    }

    $t->write_file('program.conf', $program);

    my $said = join '', grep { !/\[warn\]/ } `$^X $FindBin::Bin/../bin/loyalty-check --nginx $nginx --prefix @{[$t->dir]} --conf @{[$t->dir]}/nginx.conf --redis unix:@{[$t->dir]}/redis.sock 2>&1`;

    return ($? >> 8) . " $said";
}


my $beacon = 'beacon drand_quicknet from=http://127.0.0.1:1 '
             . 'from=http://127.0.0.1:2;';
my $same = "0 program shop\n  no difference\n";
my $version = qr/version 1, which is registered: write "version 2;"/;

is(check(), $same, 'the same program');

for (
    ['1/10', '1/9', 'wheel has other terms, prizes than', 'other odds'],
    ['stock 5;', 'stock 5; codes pens;', 'wheel has other terms than',
     'codes of a prize'],
    ['stock 5', 'stock 6', 'wheel has other terms, prizes than', 'a stock'],
    ['3 per day', '4 per day', 'wheel has other terms than', 'a limit'],
    [qr/close [^;]+(?=; draw)/, "close " . Loyalty::Instant::at(9000),
     'wheel has other terms than', 'another close'],
    ['trip', 'cruise', 'spring has other terms, prizes than', 'a prize'],
    ['alternates 2', 'alternates 3', 'spring has other terms than',
     'alternates'],
    ['within 1d', 'within 2d', 'spring has other terms than', 'claims'],
) {
    my ($from, $to, $words, $name) = @$_;

    like(check($from, $to), qr/^1 program shop\n! \w+ $words $version/, $name);
}

$t->write_file('rules', 'be quick');
like(check(), qr/^1 .*\n! sweepstakes spring has other rules than $version/,
     'other rules');
$t->write_file('rules', 'be fair');

is(check('1/10', '1/9', 'version 1', 'version 2'),
   "0 program shop\n  instant_win wheel has a new version 2\n",
   'with a new version');
like(check('version 1', 'version 3'), qr/^1 .*\n! .* version 2 comes next/,
     'a version too far');
is(check('wallet points;', 'wallet points; sweepstakes autumn { open '
         . "$open; close $close; prize a { stock 1; } }"),
   "0 program shop\n  sweepstakes autumn is a new campaign\n", 'a new one');

# what no version may change

for (
    ['instant_win wheel', 'beacon', 'a beacon', 'wallet points;',
     "$beacon wallet points;"],
    ['sweepstakes spring', 'beacon', 'of all draws', 'wallet points;',
     "$beacon wallet points;"],
    ['instant_win wheel', 'draw', 'another draw', 'draw odds; version 1;',
     'draw deck blanks=5; version 2;', 'odds 1/10;', ''],
) {
    my ($draw, $what, $name, @change) = @$_;

    like(check(@change),
         qr/^1 .*^! $draw has another $what than it was opened with, which no version may change: /ms,
         $name);
}

# the secret: it is known by what anybody may know

my $secrets = sub { $t->write_file(secret => join '', map { "$_\n" } @_) };
my ($own, $other) = map { $_ x 32 } '5a', '6b';

$secrets->("main:$other");
like(check(), qr/^1 program shop\n! the secret "main" is not the one that instant_win wheel began with: it would be stopped\n! .* sweepstakes spring began .*\n  the secret "main" is another one than before\n\z/,
     'another secret of that name');
$secrets->("next:$other");
like(check(), qr/^1 .*\n! instant_win wheel began with the secret "main", which is not in the secret_file: it would be stopped\n! sweepstakes .*\n  new draws begin with the secret "next", was "main"\n\z/,
     'the secret is gone');
$secrets->("next:$other", "main:$own");
is(check(), "0 program shop\n  new draws begin with the secret \"next\", was "
            . "\"main\"\n", 'one for new draws');
$secrets->("main:$own", "next:$other");
is(check(), $same, 'one more, not used yet');
$secrets->("main:$own");

my $dump = `$nginx -T -p @{[$t->dir]} -c @{[$t->dir]}/nginx.conf 2>&1`;
like($dump, qr/"secrets":\[\{"id":"main","vkey":"shop\+[0-9a-f]{8}\+/,
     'nginx -T shows its public key');
unlike($dump . $t->redis->call('HGET', '{shop}:names', 'conf'),
       qr/\Q$own\E|\Q@{[pack 'H*', $own]}\E/i, 'and nothing shows it');

for ([qr/open [^;]+(?=.*draw)/, "open $later", 'another open'],
     ['wheel', 'reel', 'another name'])
{
    my ($from, $to, $name) = @$_;

    like(check($from, $to), qr/^1 .*\n  instant_win \w+ is a new campaign\n! instant_win wheel is gone before its close/,
         "$name: another campaign");
}

# loaded all the same: what is registered counts, not what was loaded last

my $conf = sub { return $t->redis->call('HGET', '{shop}:names', 'conf') };
my $before = $conf->();

check('1/10', '1/9');
ok($t->reload(wait => 1), 'a reload with other odds');
ok($t->wait_log(qr/wheel.* is stopped: /, 5), 'the game is stopped');
ok($t->wait_for(sub { $conf->() ne $before }), 'it is the program now');
like(check('1/10', '1/9'), qr/^1 .*\n! .*prizes than $version/,
     'that is said as before');
is(check(), $same, 'and that the former one is right');

# an older version

$t->write_file('program.conf', $first =~ s/version 1/version 2/r);
ok($t->reload(wait => 1), 'a reload with version 2');
ok($t->wait_log(qr/registered version 2 of instant_win wheel/, 5),
   'which is registered');
like(check(), qr/^1 .*\n! .* version 1, and version 2 is registered: it would answer stale_configuration/,
     'a version that is over');

# by moments; and a close that is over

$t->stop;
($close, $later) = (Loyalty::Instant::at(6), Loyalty::Instant::at(7200));
$first = <<"END";
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win calendar { open $open; close $close; draw moments; epoch 2m;
    version 1; prize pen { stock 5; } prize car { stock 1; } }
END
$t = Loyalty::Test->new(
    files => { secret => "main:$own\n" }, program => $first);
ok($t->wait_log(qr/registered version 1 of instant_win calendar/, 5),
   'a calendar');

is(check(), $same, 'the same');
like(check('epoch 2m', 'epoch 3m'),
     qr/^1 .*^! instant_win calendar has another epoch than/ms,
     'another epoch');
like(check('version 1', 'version 2', 'stock 5', 'stock 4', 'car', 'van'),
     qr/^1 .*^! instant_win calendar has less of the prize car, pen than version 1: by moments/ms,
     'fewer units');
is(check('version 1', 'version 2', 'stock 5', 'stock 6'),
   "0 program shop\n  instant_win calendar has a new version 2\n",
   'more of them');
ok($t->wait_for(sub { Loyalty::Instant::at(0) gt $close }, 10), 'it closes');
like(check('version 1', 'version 2', $close, $later),
     qr/^1 .*^! instant_win calendar has version 2, and version 1 has closed: it comes too late/ms,
     'a version after the close');

done_testing();
