#!/usr/bin/perl

# loyalty-check: what a reload would change, before it does; and nginx -T,
# which it stands on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


my $first = <<'EOC';
    wallet points negative=on;
    tier bronze 0;  tier silver 100;
    timezone Europe/Madrid;
    earn purchase points 1 per=1.00;
    challenge coffee { on purchase;  goal 5;  award points 50; }
    challenge tea    { on purchase;  goal 3;  every week; }
    streak daily     { on visit;     every day; }
    reward mug       { cost points 5; }
EOC

my $t = Loyalty::Test->new(program => $first);

is($t->event({ id => 'e', member => 'm', type => 'purchase',
               amount => '1.00' })->status, 200, 'the program runs');

my $nginx = $ENV{LOYALTY_NGINX} // '/usr/sbin/nginx';


sub check {
    my ($program, @args) = @_;

    $t->write_file('program.conf', $program);

    my $command = join ' ', $^X, "$FindBin::Bin/../bin/loyalty-check",
        '--nginx', $nginx, '--prefix', $t->dir, '--conf',
        $t->dir . '/nginx.conf', '--redis', 'unix:' . $t->dir . '/redis.sock',
        @args, '2>&1';
    my $said = `$command`;

    return ($? >> 8, $said);
}


sub found {
    my ($from, $to, $status, $pattern, $name) = @_;

    (my $program = $first) =~ s/$from/$to/ or die $name;

    my ($exit, $said) = check($program);

    is($exit, $status, "$name: exit status");
    like($said, $pattern, "$name: in words");
    unlike($said, qr/no difference/, "$name: a difference");
}


my ($exit, $said) = check($first);
is($exit, 0, 'the same program');
is($said, "program shop\n  no difference\n", 'no difference');

found('goal 5', 'goal 6', 0, qr/^  challenge coffee: its goal, awards/m,
      'another goal');
found('every week', 'every month', 1,
      qr/^! challenge tea is another rule: it starts anew.*\n\s+was challenge tea .*week\n\s+is  challenge tea .*month/m,
      'another period');
found('challenge tea ', 'challenge mate ', 1,
      qr/^! challenge tea is renamed to mate: it starts anew/m,
      'another name');
found('streak daily.*\n', '', 1, qr/^! streak daily is gone: what members/m,
      'a streak that is gone');
found('reward mug', "badge b;\n    reward mug", 0, qr/^  badge b is new/m,
      'a new badge');
found('Madrid', 'Paris', 1,
      qr/^! timezone is Europe\/Paris, was Europe\/Madrid/m,
      'another timezone');
found('wallet points negative=on;', "money EUR 3; wallet points;", 1,
      qr/^! money has 3 decimals, had 2/m, 'another money');
found('wallet points', "money USD 2; wallet points", 1,
      qr/^! money is USD, was of none: /m, 'another currency');
found('wallet points', "wallet debts negative=on; wallet points", 1,
      qr/^  wallet debts is new.*^! the first wallet is another one/ms,
      'another wallet, the first');
found('reward mug       .', 'reward mug { stock 9;', 0,
      qr/^  reward mug has a stock of 9, had none: /m, 'a stock');
found('timezone', 'max_event_age 3d; timezone', 0,
      qr/^  max_event_age is 3 days, was 7 days: /m, 'the age of events');
found('timezone', 'remember 30d; timezone', 1,
      qr/^! remember is shorter: /m, 'a shorter memory');
found('timezone', 'remember 120d; timezone', 0,
      qr/^  remember is longer: /m, 'a longer memory');
found('wallet points negative=on;', "wallet points;", 0,
      qr/^  wallet points may no longer go below zero/m, 'a wallet');
found('tier silver 100', 'tier gold 500', 0,
      qr/^  tiers are bronze 0 x 1, gold 500 x 1; were bronze 0 x 1, silver/m,
      'another tier');
found('cost points 5;', 'cost points 5; codes mugs;', 0,
      qr/^  reward mug hands out codes of the pool mugs, was none/m, 'codes');
found('earn purchase.*', '', 0, qr/^  "earn points .* on purchase" is gone/m,
      'no points any more');
found('per=1.00', 'per=2.00', 0, qr/^  "earn points .* den 200 .*" is new/m,
      'fewer points');

# another pool, and none; another stock, and none

(my $pool = $first) =~ s/cost points 5;/cost points 5; codes mugs; stock 9;/;
$pool =~ s/negative=on//;
my $conf = sub { return $t->redis->call('HGET', '{shop}:names', 'conf') };

check($pool);
ok($t->reload(wait => 1), 'a reload with codes');
ok($t->wait_for(sub { $conf->() =~ /"codes":"mugs"/ }), 'Redis knows');
($exit, $said) = check($pool);
is($said, "program shop\n  no difference\n", 'codes: no difference');
($exit, $said) = check($pool =~ s/codes mugs/codes cups/r);
like($said, qr/^  reward mug hands out codes of the pool cups, was of mugs: /m,
     'another pool');
($exit, $said) = check($pool =~ s/stock 9/stock 8/r);
is($said, "program shop\n  reward mug has a stock of 8, had a stock of 9: "
          . "what was handed out counts\n", 'a stock that is lowered');
($exit, $said) = check($pool =~ s/wallet points/wallet points negative=on/r);
is($said, "program shop\n  wallet points may go below zero\n",
   'a wallet that may go below zero');
($exit, $said) = check($first);
is($exit, 0, 'no pool: exit status');
like($said, qr/^  reward mug hands out no codes, was of mugs: /m, 'no pool');
like($said, qr/^  reward mug has no end, had a stock of 9: /m, 'no stock');

($exit, $said) = check("    nonsense;\n");
is($exit, 2, 'a broken configuration');
like($said, qr/\[emerg\].* unknown directive "nonsense" in .*program\.conf:1/,
     'as nginx says it');

($exit, $said) = check($first, '--program', 'other');
is($exit, 2, 'a program that is not there');

$t->redis->call('FLUSHALL');
($exit, $said) = check($first);
is($exit, 0, 'an empty Redis');
like($said, qr/no nginx has run this program/, 'is said to be');

my $dump = `$nginx -T -p @{[$t->dir]} -c @{[$t->dir]}/nginx.conf 2>/dev/null`;
like($dump, qr/^# configuration file loyalty_program shop:\n# \{"program":"shop"/m,
     'nginx -T shows the program');

done_testing();
