package Loyalty::Bench::Shop;

# A shop behind nginx, observed and not, with a lookup and without: what its
# visitors notice of that, with Redis there, stalled, gone, and closing each
# connection as soon as it is used.
#
#     my $shop = Loyalty::Bench::Shop->new($bench);
#     my %p99 = $shop->measure('slow', 'seen');
#         # a backend of 20 ms, or 'fast'; loyalty_observe, or with 'known'
#         # loyalty_lookup
#         # there => { plain => [ms, ...], with => [ms, ...] }, stalled, gone,
#         # resetting: of the requests while the machine was steady
#     $shop->{rate}     requests a second, half of what both can
#     $shop->{steady}   which part of the requests that were, in the median run
#     $shop->{found}    which part of the lookups Redis answered in time, there
#     $shop->{missing}  why it cannot be measured here
#
# Requests are due at equal distances, each is a purchase of its own. When all
# runs are over Redis must have got every one of those that were seen.

use strict;
use warnings;

use List::Util qw(max min);
use Time::HiRes qw(time);

use Loyalty::FakeRedis;

our @STATES = qw(there stalled gone resetting);

my $CONNECTIONS = 64;
my $SECONDS = 1.5;              # of each run
my $STEADY = 0.5;               # a run with less is tried again,
my $TRIES = 4;                  # so often in all
my $MEMBERS = 1000;
my $PAGE = 'thank you ' x 100;


sub new {
    my ($class, $bench, %arg) = @_;
    my $self = bless { bench => $bench, rounds => 5, next => 1, seen => 0, known => 0,
                       %arg }, $class;
    my ($modules) = grep { -e "$_/ngx_http_lua_module.so" }
                    qw(/usr/lib/nginx/modules /usr/share/nginx/modules);

    if (!defined $modules) {
        $self->{missing} = 'libnginx-mod-http-lua, which is the backend,'
                         . ' is not installed';
        return $self;
    }

    my $back = $bench->nginx(<<"END", <<"END2");
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
END
    server {
        listen 127.0.0.1:%%PORT_back%%;

        add_header X-Customer \$arg_m;
        add_header X-Order \$arg_o;
        add_header X-Total "12.50";

        location = /fast { return 200 "$PAGE"; }

        location = /slow {
            content_by_lua_block {
                ngx.sleep(0.015 + math.random() * 0.01)
                ngx.header.content_length = @{[ length $PAGE ]}
                ngx.print("$PAGE")
            }
        }
    }
END2

    my $redis = $bench->{redis}->dir . '/redis.sock';

    $self->{back} = $back;
    $self->{front} = $bench->nginx('load_module %%MODULE%%;', <<"END");
    loyalty_program shop {
        redis unix:$redis;
        $Loyalty::Bench::RULES
    }

    loyalty_spool path=%%TESTDIR%%/spool max=1g;

    upstream back {
        server 127.0.0.1:@{[ $back->port('back') ]};
        keepalive 128;
        keepalive_requests 100000000;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";

    server {
        listen 127.0.0.1:%%PORT_plain%%;
        location / { proxy_pass http://back; }
    }

    server {
        listen 127.0.0.1:%%PORT_known%%;
        location / {
            loyalty_lookup shop member=\$arg_m;
            proxy_set_header Connection "";
            proxy_set_header X-Points \$loyalty_balance_points;
            proxy_pass http://back;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_seen%%;
        location / {
            proxy_pass http://back;
            loyalty_observe shop purchase member=\$upstream_http_x_customer
                            id=\$upstream_http_x_order
                            amount=\$upstream_http_x_total;
        }
        location = /metrics { loyalty_metrics; }
    }
END

    return $self;
}


sub measure {
    my ($self, $backend, $with) = @_;
    my $bench = $self->{bench};
    my (%p99, @steady);

    $bench->reset('everysec');

    $self->{rate} = int($self->most($backend, $with) / 2);

    for my $state (@STATES) {
        $self->redis($state);

        for my $round (1 .. $self->{rounds}) {
            for my $which ('plain', $with) {
                my %run = $self->paced($backend, $which);

                push @steady, $run{steady};
                push @{$p99{$state}{$which eq 'plain' ? 'plain' : 'with'}},
                     $run{steady_p99} / 1000;
                $bench->say(sprintf 'shop, %s backend, Redis %s, %d/%d %-5s'
                    . ' %d requests/s, p99 %.2f ms, of all %.2f, steady %d %%',
                    $backend, $state, $round, $self->{rounds}, $which,
                    $self->{rate}, $run{steady_p99} / 1000, $run{p99} / 1000,
                    100 * $run{steady});

                # what this one left to do is not the next one's load
                $self->check if $state eq 'there';
            }
        }

        $self->check_lookups if $with eq 'known' && $state eq 'there';
    }

    $self->redis('there');
    $self->check;
    $self->{steady} = (sort { $a <=> $b } @steady)[@steady / 2];

    return %p99;
}


# one run; a machine that is hardly ever steady gets another try
sub paced {
    my ($self, $backend, $which) = @_;
    my %run;

    for (1 .. $TRIES) {
        %run = $self->load($backend, $which, int($self->{rate} * $SECONDS),
                           -r => $self->{rate});
        last if $run{steady} >= $STEADY;
    }

    return %run;
}


# how much the plain one can answer, or the other one answer and have credited;
# the best of three each, since a machine that falters makes it less
sub most {
    my ($self, $backend, $with) = @_;
    my $n = $backend eq 'slow' ? 4000 : 20000;

    # all ways have been used, and there are members
    $self->load($backend, 'seen', $MEMBERS);
    $self->load($backend, 'known', 200);

    my (@plain, @with);

    for (1 .. 3) {
        my %run = $self->load($backend, 'plain', $n);
        my $started = time;

        push @plain, $n / $run{seconds};
        $self->load($backend, $with, $n);
        $self->check;
        push @with, $n / (time - $started);
    }

    return min(max(@plain), max(@with));
}


sub load {
    my ($self, $backend, $which, $n, @options) = @_;
    my $first = $self->{next};

    $self->{next} += $n;
    $self->{$which} += $n if $which ne 'plain';

    my $file = $self->{bench}{work}->write('shop', map {
        "GET /$backend?m=" . $_ % $MEMBERS . "&o=$_ HTTP/1.1\r\n"
        . "Host: localhost\r\n\r\n" } $first .. $self->{next} - 1);

    return $self->{bench}->load($self->{front}->port($which), $file,
                                -c => $CONNECTIONS, @options);
}


sub redis {
    my ($self, $state) = @_;
    my $redis = $self->{bench}{redis};

    if (my $fake = delete $self->{fake}) {
        $fake->stop;
    }

    if ($state eq 'stalled') {
        $redis->redis_stall;

    } elsif ($state eq 'gone') {
        # it comes back empty, and must not be told again what it knew
        $redis->redis_go;
        $self->check;
        $redis->redis_stop;

    } elsif ($state eq 'resetting') {
        unlink $redis->dir . '/redis.sock';
        $self->{fake} = Loyalty::FakeRedis->new($redis,
            [[ qr/^/, CLOSE => 1, times => ~0 ]], name => 'redis',
            upstream => 0);

    } elsif (!defined $redis->{redis}{pid}) {
        $redis->redis_start;
        $redis->redis->call('CONFIG', 'SET', 'maxmemory-policy',
                            'noeviction');
    }

    return;
}


sub metrics {
    my ($self) = @_;
    my $page = $self->{front}->get('/metrics', port => 'seen')->body;

    return $page =~ /^nginx_loyalty_(\w+)\{program="shop"
                      (?:,status="ok")?\}\ (\d+)$/mgx;
}


sub check_lookups {
    my ($self) = @_;
    my %metrics = $self->metrics;

    # on a machine that has more to do many are too late
    die "$self->{known} lookups, of which $metrics{lookups_total} are ok\n"
        if $metrics{lookups_total} < 0.5 * $self->{known};

    $self->{found} = $metrics{lookups_total} / $self->{known};

    return;
}


# each purchase that was seen has been decided, and none is left
sub check {
    my ($self) = @_;
    my %metrics;

    $self->{front}->wait_for(sub {
        %metrics = $self->metrics;

        return $metrics{observed_credited_total}
               + $metrics{observed_duplicates_total} == $self->{seen};
    }, 60) or die "$self->{seen} purchases were seen, but ",
                  join(', ', map { "$_ $metrics{$_}" } sort keys %metrics),
                  "\n";

    return;
}


1;
