#!/usr/bin/perl
# Who nginx is in Redis, and in which database: password, user, ACL, SELECT.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::Test;
use Test::More;

my @programs = (
    [ bare => '' ],
    [ password => 'password_file=%%TESTDIR%%/default.pw' ],
    [ wrong => 'password_file=%%TESTDIR%%/wrong.pw' ],
    [ user => 'user=loyalty password_file=%%TESTDIR%%/user.pw' ],
    [ unknown => 'user=nobody password_file=%%TESTDIR%%/user.pw' ],
    [ narrow => 'user=narrow password_file=%%TESTDIR%%/user.pw' ],
    [ forbidden => 'user=forbidden password_file=%%TESTDIR%%/user.pw' ],
    [ db => 'password_file=%%TESTDIR%%/default.pw db=3' ],
    [ nodb => 'password_file=%%TESTDIR%%/default.pw db=99' ],
);

my $t = Loyalty::Test->new(
    start => 0, redis => { appendonly => 1 },
    files => { 'default.pw' => "s3cret with blanks\n", 'wrong.pw' => 'no',
               'user.pw' => "user-pass\r\n" },
    http => join('', map { <<"END" } @programs),
    loyalty_program $_->[0] {
        redis unix:%%REDIS%% $_->[1];
        wallet points;
        earn purchase points 1 per=1.00;
    }
END
    server => join('', map { <<"END" } @programs));
        location /$_->[0]/ { loyalty_event_api $_->[0] trusted; }
END

my $redis = $t->redis;
# as docs/directives.md says
$redis->call('ACL', 'SETUSER', 'loyalty', 'on', '>user-pass', '~{user:*',
             '~{user}:*', map { "+$_" } qw(fcall fcall_ro function|load get
             set append strlen getrange hset hmget hget hdel xadd wait ping
             info config|get client|setname select));
# may do the work, but look at nothing
$redis->call('ACL', 'SETUSER', 'narrow', 'on', '>user-pass', '~*', '+@all',
             '-info', '-config', '-client', '-hset', '-@dangerous');
$redis->call('ACL', 'SETUSER', 'forbidden', 'on', '>user-pass', '~*',
             '+@all', '-fcall');
$redis->call('CONFIG', 'SET', 'requirepass', 's3cret with blanks');
$t->start;

sub buy {
    my ($program, $id) = @_;
    return $t->post("/$program/events", { id => $id // 'a', member => 'm',
        type => 'purchase', amount => '2.00' });
}

sub logged {
    my ($program, $pattern) = @_;
    return scalar(() = $t->log =~
        /$pattern[^\n]*program: $program$/mg);
}


is(buy('bare')->status, 503, 'no password: unavailable');
is(buy('bare')->status, 503, 'still') for 1 .. 5;
is(logged('bare', qr/asks for a password, see user= and password_file=/), 1,
   'one line about it');

is(buy('password')->status, 200, 'a password with blanks');
is(buy('wrong')->status, 503, 'a wrong password: unavailable');
is(logged('wrong', qr/refused the user or the password: "WRONGPASS/), 1,
   'one line about it');

is(buy('user')->status, 200, 'a user with few permissions');
like((join "\n", $t->redis->call('AUTH', 's3cret with blanks'),
      $t->redis->call('CLIENT', 'LIST')),
     qr/name=nginx-loyalty [^\n]*user=loyalty/, 'known by name and user');
is(buy('unknown')->status, 503, 'an unknown user: unavailable');

is(buy('narrow')->status, 200, 'a user who may do no more than is needed');
is(logged('narrow', qr/does not tell whether it stores as/), 1,
   'a store that may not be looked at is unknown');
is(logged('narrow', qr/refused to keep the names of rules: "NOPERM/), 1,
   'names refused: a warning');

is(buy('forbidden')->status, 500, 'a user without FCALL: an error');
is(buy('forbidden')->status, 500, 'still') for 1 .. 5;
is(logged('forbidden', qr/the user lacks a permission in redis: "NOPERM/), 1,
   'one line about it');
$redis->call('ACL', 'SETUSER', 'forbidden', '+fcall');
is(buy('forbidden')->status, 200, 'allowed: it works at once');
is(logged('forbidden', qr/redis is available again/), 1, 'and says so');

is(buy('db')->status, 200, 'another database');
is(() = grep({ /^\{db:/ } @{$redis->call('KEYS', '*')}), 0,
   'nothing in the first');
$redis->call('SELECT', 3);
is(() = grep({ /:m:1:m$/ } @{$redis->call('KEYS', '*')}), 1,
   'a member there');

is(buy('nodb')->status, 503, 'a database that is not there: unavailable');
is(logged('nodb', qr/DB index is out of range/), 1, 'one line about it');

# a user taken away while connected
$redis->call('ACL', 'DELUSER', 'loyalty');
ok($t->wait_for(sub { buy('user', 'b')->status == 503 }), 'user gone');
is(buy('password', 'b')->status, 200, 'another program does not notice');
unlike($t->log . $t->redis_log, qr/s3cret|user-pass/, 'no password in a log');

done_testing();
