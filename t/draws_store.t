#!/usr/bin/perl

# Draws want a store as durable as the program says: others may go on with a
# warning, but nobody plays.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Clock;
use Loyalty::Test;
use Loyalty::Instant;
use Test::More;
use Time::HiRes qw(time);

my $clock = Loyalty::Clock->everywhere;

my $open = Loyalty::Instant::at(-600);
my $close = Loyalty::Instant::at(86400);


sub shop {
    my ($more, %redis) = @_;

    return Loyalty::Test->new(
        redis => \%redis, files => { secret => 'main:' . 'ab' x 32 . "\n" },
        server => 'location /fair/ { loyalty_proof shop; }',
        program => <<"END");
secret_file %%TESTDIR%%/secret;
wallet points;
$more
instant_win scratch {
    open $open;  close $close;  draw odds;  prize mug { odds 1/2; }
}
sweepstakes spring {
    open $open;  close $close;  prize trip { stock 1; }
}
END
}


sub answers {
    my ($t) = @_;
    my $g = Loyalty::Instant->new($t, 'scratch');

    return ($g->play('m', 'k'),
            $t->post('/loyalty/sweepstakes/spring/entries', { tickets => 1 },
                     headers => { 'X-Member' => 'm',
                                  'Idempotency-Key' => 'k' }),
            $t->event({ id => 'e', member => 'm', type => 'visit' }));
}


for (['', 'keeps no append-only file'],
     ['', 'appendfsync', appendonly => 1, appendfsync => 'everysec'],
     ['durability none;', 'evict',
      args => ['--maxmemory-policy', 'allkeys-lru']])
{
    my ($more, $why, %redis) = @$_;
    my $t = shop($more, %redis);
    my ($play, $entry, $event) = answers($t);

    is($play->status, 503, "$why: no play");
    is($play->json->{code}, 'unsafe_store', 'which is told');
    like($play->json->{detail}, qr/$why/, 'with the reason');
    ok($play->header('Retry-After'), 'and when to ask again');
    is($entry->json->{code}, 'unsafe_store', 'no entry');
    is($event->status, 200, 'events go on');
    $t->stop;
}

for (['unsafe_store on;'],
     ['', appendonly => 1, appendfsync => 'always'],
     ['durability everysec;', appendonly => 1, appendfsync => 'everysec'])
{
    my ($more, %redis) = @$_;
    my $t = shop($more, %redis);
    is(join(' ', map { $_->status } answers($t)), '200 200 200',
       "$more @{[%redis]}");
    $t->stop;
}


# what is set while nginx is connected is noticed within two minutes

{
    my $t = shop('redis unix:%%REDIS%% keepalive=50ms;', appendonly => 1,
                 args => ['--jemalloc-bg-thread', 'no']);
    my $g = Loyalty::Instant->new($t, 'scratch');

    is($g->play('m')->status, 200, 'a store that is as promised');

    for (['no', 'unsafe_store'], ['yes', undef]) {
        my ($to, $code) = @$_;

        $t->redis->call('CONFIG', 'SET', 'appendonly', $to);
        $clock->set(time + 61);
        ok($t->wait_for(sub { ($g->play('m')->code // '') eq ($code // '') }),
           "appendonly $to, a minute later");
    }

    is(() = $t->log =~ /\[warn\].*redis keeps no append-only file/g, 1,
       'it is logged once');
    like($t->log, qr/redis stores as "durability always" asks/, 'mended, too');
    $t->stop;
}


done_testing();
