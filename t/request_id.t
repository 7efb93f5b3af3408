# X-Request-Id: the same as $request_id in the log, and never the same twice,
# over workers, a reload, and more requests than are drawn for at a time.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(
    workers => 2,
    program => 'wallet points; earn visit points 1;',
    http => 'log_format ids "$request_id";'
            . ' access_log %%TESTDIR%%/ids.log ids;',
);

my %seen;

for my $n (1 .. 700) {
    my $r = $n % 2 ? $t->event({ id => "e$n", member => 'm', type => 'visit' })
                   : $t->me('m');

    $seen{ $r->header('X-Request-Id') }++;
    $t->reload if $n == 350;
}

is(scalar keys %seen, 700, '700 requests, 700 ids');
is(scalar(grep { !/^[0-9a-f]{32}$/ } keys %seen), 0, 'in 32 hex digits');

$t->quit;

open my $fh, '<', $t->dir . '/ids.log' or die "ids.log: $!\n";
chomp(my @logged = <$fh>);

is(scalar(grep { !$seen{$_} } @logged), 0, 'the log has the same ids');
is(scalar @logged, 700, 'each of them');

done_testing();
