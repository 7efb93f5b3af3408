#!/usr/bin/perl

# loyalty-member: a member in words.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Loyalty::Member;
use Loyalty::Test;
use POSIX ();
use Test::More;


my $t = Loyalty::Test->new(program => <<'END');
money EUR 2;
timezone UTC;
max_event_age 7d;
wallet points;
tier bronze 0;
tier silver 10 multiplier=1.5;
earn purchase points 1 per=1.00;
challenge once { on purchase; goal 2; award points 7; }
challenge monthly { on purchase; goal 50.00 of amount; every month; }
challenge sorts { on purchase; goal 3 distinct item.sku; window 7d; }
challenge offer { on purchase; goal 3; opens_on offer; window 2d; }
streak days { on visit; every day; freeze 1; award points 1 at=2; }
END


sub show {
    my (@args) = @_;

    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $^X, "$FindBin::Bin/../bin/loyalty-member", '--redis',
             'unix:' . $t->dir . '/redis.sock', @args;
    }

    my $said = do { local $/; <$out> } // '';
    close $out;

    return ($? >> 8, $said);
}


sub day {
    return POSIX::strftime('%Y-%m-%dT12:00:00Z', gmtime time - 86400 * $_[0]);
}


sub event {
    my (%event) = @_;

    my $r = $t->event({ member => 'anna', %event });

    is($r->status, 200, "event $event{id}") or diag($r->body);

    return;
}


my ($status, $said) = show('--program', 'shop', 'anna');

is($status, 1, 'nobody');
is($said, "program shop has no member \"anna\"\n", 'is said');

event(id => 'v1', type => 'visit', at => day(5));
event(id => 'v2', type => 'visit', at => day(4));
event(id => 'v3', type => 'visit', at => day(2));
event(id => 'v4', type => 'visit', at => day(2));
event(id => 'o1', type => 'offer', at => day(1));
event(id => 'p1', type => 'purchase', at => day(1), amount => '12.00',
      items => [{ sku => 'cup', category => 'coffee', quantity => 2,
                  amount => '8.00' }, { sku => 'bun', amount => '4.00' }]);
event(id => 'p2', type => 'purchase', amount => '2.00');
is($t->reversal('p2', { member => 'anna', id => 'r', amount => '1.00' })
   ->status, 200, 'a reversal');
is($t->reversal('p1', { member => 'anna', id => 'ri', items => [
       { sku => 'cup', category => 'coffee', quantity => 1,
         amount => '3.00' } ] })->status, 200, 'a reversal of items');
event(id => 'p3', type => 'purchase', items => [{ sku => 'cup' }]);

($status, $said) = show('--program', 'shop', 'anna');

is($status, 0, 'shown');

for my $line (
    'member "anna" of program shop',
    'records: 10 in all, 10 in the value, 0 in the overflow',
    '  wallet points: balance \d+, lifetime \d+, opening 0, owed 0',
    '  type visit: the event type visit',
    '  challenge once',
    '      once ever, counts events',
    '      progress 3, completed at 2, paid 7 in wallet points',
    '  challenge monthly',
    '      every period, counts amount',
    '      period \d+: progress 1[0-9]00',
    '  challenge sorts',
    '      window, counts distinct values',
    '      instance 1, opened 20\S+Z: progress 2, values \w{16}×[12] \w{16}×[12]',
    '  challenge offer',
    '      opened by an event, counts events',
    '      the next instance is 2',
    '  streak days',
    '      last period \d+, best 4, events 4',
    '      map up to period \d+: ##f#',
    '      freezes held: 0',
    '      period \d+ has 2 events',
    '  1: visit "v1" at 20\S+T12:00:00Z, accepted 20\S+Z',
    '      streak days, period \d+: length 1, best 1',
    '      streak days, period \d+: length 4, best 4, freezes spent: 1',
    '      streak days, period \d+: one more event',
    '      challenge offer, instance 1 opened: 0 of 3',
    '  6: purchase "p1" at \S+, accepted \S+, amount 1200',
    '      item "cup" of coffee x 2, amount 800',
    '      item "bun" x 1, amount 400',
    '      \+12 in wallet points for earn .*',
    '      challenge once, instance 0: 1 of 2',
    '      from tier bronze to tier silver',
    '  7: purchase "p2" at .*, amount 200, multiplier 1\.5',
    '      reversed in part, left: amount 100',
    '  8: reversal "r" at .*',
    '      reverses "p2", amount 100',
    '      reverses "p1", items cup of coffee x 1 for 300',
    '      challenge once, instance 0: one more after completion',
    '      challenge sorts, instance 1: 2 of 3, values: 2',
    '      challenge sorts, instance 1: no progress, values: 1',
    '      balances: wallet points \d+',
) {
    like($said, qr/^$line$/m, $line);
}

unlike($said, qr/~/, 'everything has a name');
unlike($said, qr/[\x00-\x09\x0b-\x1f]/, 'and no byte is raw');

# what the configuration does not know any more

$t->redis->call('DEL', '{shop}:names');
($status, $said) = show('--program', 'shop', 'anna');
is($status, 0, 'without names');
like($said, qr/^  wallet ~[0-9a-f]{8}: |^  ~[0-9a-f]{8}: balance/m,
     'hashes stand for them');

# damage and mistakes

my $key = Loyalty::Member::key('shop', 'm', 'anna');
my $value = $t->redis->call('GET', $key);

$t->redis->call('SET', $key, substr $value, 0, -3);
($status, $said) = show('--program', 'shop', 'anna');
is($status, 1, 'a damaged member');
like($said, qr/^the value of \S+ is damaged: /, 'is said');

is((show('anna'))[0], 2, 'no program');
is((show('--program', 'shop'))[0], 2, 'no member');
is((show('--program', 'shop', '--help'))[0], 0, '--help');

done_testing();
