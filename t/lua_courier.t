#!/usr/bin/perl

# lua-examples/courier.lua, while Redis, the receiver and the worker fail.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Member;
use Loyalty::Test;
use Test::More;


my $modules = Loyalty::Test->lua_modules;

plan skip_all => 'no Lua module' if !defined $modules;

my $lua = "$FindBin::Bin/../lua-examples";

my $t = Loyalty::Test->new(
    modules => "${modules}load_module %%MODULE%%;",
    redis => { appendonly => 1 },
    start => 0,
    program => "wallet points;\nearn purchase points 1 per=1.00;",
    http => <<"END",
lua_package_path "$lua/?.lua;$lua/lib/?.lua;;";
lua_shared_dict hook 10m;

init_worker_by_lua_block {
    require('courier').start {
        redis = { unix = 'unix:%%REDIS%%', user = 'courier',
                  password = 'secret', db = 0 },
        program = 'shop', group = 'crm', secret = 'sixteen bytes or more',
        to = { host = '127.0.0.1', port = %%PORT%%, path = '/hook' },
        every = 0.2 }
}
END
    server => <<'END');
        location = /hook {
            content_by_lua_block {
                ngx.req.read_body()
                local hook, body = ngx.shared.hook, ngx.req.get_body_data()
                local poison = hook:get('poison')

                if (hook:get('sleep') or 0) > 0 then
                    ngx.sleep(hook:get('sleep'))
                end

                if poison and body:find(poison, 1, true) then
                    return ngx.exit(422)
                end

                hook:set('body' .. hook:incr('n', 1, 0), body)
                ngx.exit(204)
            }
        }

        location = /hook/set {
            content_by_lua_block {
                for name, value in pairs(ngx.req.get_uri_args()) do
                    ngx.shared.hook:set(name, tonumber(value) or value)
                end
            }
        }

        location = /hook/seen {
            content_by_lua_block {
                for n = 1, ngx.shared.hook:get('n') or 0 do
                    ngx.say(ngx.shared.hook:get('body' .. n))
                end
            }
        }
END

my $json = JSON::PP->new->utf8;


sub seen {
    my ($member) = @_;
    return grep { ($_->{member} // '') eq $member }
           map { $json->decode($_) } split /\n/, $t->get('/hook/seen')->body;
}


sub purchases {
    my ($member, $count) = @_;

    my @lines = $t->events([ map { { id => "$member$_", member => $member,
        type => 'purchase', amount => '1.00' } } 1 .. $count ])->lines;
    is(scalar(grep { $_->{status} == 200 } @lines), $count,
       "purchases of $member");
    return;
}


sub partition {
    return Loyalty::Member::partition($_[0]);
}


# what the courier's first lines say that it needs
sub acl {
    open my $fh, '<', "$lua/courier.lua" or die "courier.lua: $!";
    my ($line) = map { /needs (~\{PROGRAM.*)\.$/ } <$fh>;
    return split ' ', $line =~ s/PROGRAM/shop/r;
}


is($t->redis->call('ACL', 'SETUSER', 'courier', 'on', '>secret', acl()), 'OK',
   'a user of its own');
$t->start;


# ---- in order, with no more rights than it needs ----

purchases('ada', 5);
ok($t->wait_for(sub { seen('ada') == 5 }), 'all are delivered')
    or diag($t->log);
is(join(' ', map { $_->{seq} } seen('ada')), '1 2 3 4 5', 'in order');


# ---- Redis goes between reading and delivering ----

$t->get('/hook/set?sleep=0.5');
purchases('zoe', 3);
select undef, undef, undef, 0.4;
$t->redis_kill;
select undef, undef, undef, 1.2;
$t->get('/hook/set?sleep=0');
$t->redis_start;
$t->redis->call('ACL', 'SETUSER', 'courier', 'on', '>secret', acl());
ok($t->wait_for(sub {
    my %ids = map { $_->{id} => 1 } seen('zoe');
    return keys %ids == 3;
}), 'all are delivered when it is back');
ok($t->wait_for(sub { $t->me('zoe')->status == 200 }), 'as all else');
is(scalar(seen('')), 0, 'each with its member');


# ---- one that the receiver does not take ----

my $other = (grep { partition($_) != partition('max') } 'bob', 'dan', 'eve')[0];

$t->get('/hook/set?poison=max');
purchases('max', 2);
purchases($other, 2);
ok($t->wait_for(sub { seen($other) == 2 }), 'others go on');
my $p = partition('max');
ok($t->wait_log(qr/courier: $p-\d+-\d+ is not taken: 422/), 'it is told');
is(scalar(seen('max')), 0, 'not taken');
$t->get('/hook/set?poison=nobody');
ok($t->wait_for(sub { seen('max') == 2 }), 'taken when it is mended');


# ---- the worker ends while the receiver is slow ----

$t->get('/hook/set?sleep=0.2');
purchases('oli', 30);
ok($t->wait_for(sub { seen('oli') >= 2 }), 'under way');
ok($t->reload(wait => 1, timeout => 3), 'a worker that ends leaves the rest');
$t->get('/hook/set?sleep=0');
ok($t->wait_for(sub { seen('oli') >= 30 }), 'to the next one');

my (%got, @first);
push @first, grep { !$got{$_}++ } map { $_->{seq} } seen('oli');
is("@first", join(' ', 1 .. 30), 'in order');
cmp_ok(scalar(seen('oli')), '<=', 33, 'few of them twice');

done_testing();
