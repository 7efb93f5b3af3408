#!/usr/bin/perl

# The module as a file: it shows nginx what nginx asks for and nothing else,
# and gets on with a module that has a hiredis of its own.

use strict;
use warnings;

use Test::More;

use lib 't/lib';
use Loyalty::Test;

my $module = $ENV{LOYALTY_MODULE} || 'build/ngx_http_loyalty_module.so';

plan skip_all => 'the module is static' if $module eq 'static';


my @shown = sort map { (split)[-1] } `nm -D --defined-only $module`;

is_deeply(\@shown, [qw(ngx_http_loyalty_module ngx_module_names
                       ngx_module_order ngx_modules)],
          'exports what nginx looks up and nothing else');

my @wanted = map { (split)[-1] } `nm -D --undefined-only $module`;

is_deeply([grep { /^(redis|loyalty_|ngx_http_loyalty_)/ } @wanted], [],
          'all of hiredis and of the module is inside');

my @libraries = `readelf -d $module` =~ /NEEDED.*\[(lib\w+)/g;

is(scalar(grep { $_ eq 'libhiredis' } @libraries), 0,
   'needs no hiredis at run time');

# those that nginx needs as well, and those that the README says
open my $readme, '<', 'README.md' or die "README.md: $!";
my $install = do { local $/; <$readme> };

is_deeply([grep { !/^lib(?:c|pcre2|crypto|ssl|z)$/ && $install !~ /`$_\d*`/ }
           @libraries], [], 'what else it needs is told');


# nchan brings a hiredis: whoever is loaded first must not lend it

my $nchan = '/usr/lib/nginx/modules/ngx_nchan_module.so';

SKIP: {
    skip 'nchan is not installed', 2 if ! -f $nchan;

    subtest 'nchan before us' => sub {
        together("load_module $nchan;\nload_module %%MODULE%%;");
    };

    subtest 'nchan after us' => sub {
        together("load_module %%MODULE%%;\nload_module $nchan;");
    };
}


done_testing();


sub together {
    my ($modules) = @_;

    my $t = Loyalty::Test->new(
        modules => $modules,
        redis => { port => 1 },
        program => 'wallet points; earn purchase points 1 per=1.00;',
        http => <<'END',
    upstream channels {
        nchan_redis_server redis://127.0.0.1:%%REDIS_PORT%%;
    }
END
        server => <<'END',
        location = /pub {
            nchan_publisher;
            nchan_channel_id $arg_id;
            nchan_redis_pass channels;
        }
        location = /sub {
            nchan_subscriber longpoll;
            nchan_subscriber_first_message oldest;
            nchan_channel_id $arg_id;
            nchan_redis_pass channels;
        }
END
    );

    # no reload here: this nchan writes to the log of the configuration that
    # has gone when it connects to Redis anew

    round($t, 'a');
    round($t, 'b');

    ok($t->quit, 'quits');
    undef $t;

    $t = Loyalty::Test->new(
        modules => $modules, program => 'wallet points;',
        server => 'location = /pub { nchan_publisher; nchan_channel_id a; }');

    for my $n (1 .. 3) {
        ok($t->reload(wait => 1), "reloads, $n");
        like($t->post('/pub', 'x')->status, qr/^20[12]$/, "nchan, $n");
        is($t->me('m')->status, 200, "the account, $n");
    }

    return;
}


sub round {
    my ($t, $id) = @_;

    # nchan connects by itself, in its own time
    my $sent = $t->wait_for(sub {
        return $t->post("/pub?id=$id", "hello $id")->status =~ /^20[12]$/;
    });

    ok($sent, "nchan publishes through Redis, $id");
    is($t->get("/sub?id=$id")->body, "hello $id",
       "nchan reads it back, $id");

    my $r = $t->event({ id => $id, member => 'm', type => 'purchase',
                        amount => '3.00' });

    is($r->status, 200, "an event is decided, $id");
    is($r->json->{effects}[0]{amount}, 3, "and paid, $id");

    return;
}
