#!/usr/bin/perl

# A shop under load while everything around it goes and comes back: each
# purchase whose page a client has seen is credited once.
#
# LOYALTY_SOAK=100000, as in "make soak", takes so many purchases, ten times
# Redis, workers and five reloads; without it there are a few thousand, and
# less of that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use JSON::PP ();
use Loyalty::Test;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $TOTAL = $ENV{LOYALTY_SOAK} || 3000;
my $LARGE = $TOTAL >= 50_000;
my $CLIENTS = 2;
my $CONNECTIONS = 8;                    # of each client
my $MEMBERS = 50;

$SIG{PIPE} = 'IGNORE';
srand 11;

# what stands behind: never touched
my $back = Loyalty::Test->new(redis => 0, server => <<'END');
location / {
    add_header X-Customer $arg_m;
    add_header X-Order $arg_o;
    add_header X-Total "1.00";
    return 200 "bought $arg_o\n";
}
END

my $port = $back->port;

my $t = Loyalty::Test->new(workers => 2,
    redis => { appendonly => 1, appendfsync => 'always' },
    allow => [ qr/exited on signal 9/ ], program => <<'END',
redis       unix:%%REDIS%% timeout=300ms;
wallet      points;
earn        purchase points 1 per=1.00;
END
    http => <<"END", server => <<'END2');
loyalty_ring  zone=seen:2m;
loyalty_spool path=%%TESTDIR%%/spool max=100m;
upstream back { server 127.0.0.1:$port; keepalive 32; }
keepalive_requests 1000000;
END
location = /checkout {
    proxy_pass http://back;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    loyalty_observe shop purchase member=$upstream_http_x_customer
                    id=$upstream_http_x_order amount=$upstream_http_x_total;
}
END2

my ($next, $missing) = (1, 0);


sub number { return sprintf '%07d', $_[0] }
sub member { return 'm' . $_[0] % $MEMBERS }


# ---- clients: processes of their own ----

# purchases from..to; numbers of those whose page was as it should be, and of
# those that got another, go to files
sub client {
    my ($id, $from, $to, $rate) = @_;

    my $pid = fork;
    defined $pid or die "fork: $!";

    if ($pid) {
        $t->guard($pid);
        return $pid;
    }

    open my $seen, '>', $t->dir . "/seen.$id" or POSIX::_exit(1);
    open my $wrong, '>', $t->dir . "/wrong.$id" or POSIX::_exit(1);
    $seen->autoflush(1);

    my $select = IO::Select->new;
    my (%conn, $began);
    my ($n, $done, $first) = ($from, 0, time);

    while ($n <= $to || $select->count) {

        while ($n <= $to && $select->count < $CONNECTIONS
               && ($n - $from) / $rate <= time - $first)
        {
            my $sock = eval { $t->connect } // last;

            $select->add($sock);
            $conn{$sock} = { in => '' };
            ask($sock, $conn{$sock}, $n++);
        }

        for my $sock ($select->can_read(0.01)) {
            my $conn = $conn{$sock};
            my $got = sysread $sock, $conn->{in}, 65536, length $conn->{in};
            my $whole = $conn->{in} =~ /\r\n\r\nbought \d+\n\z/;

            if ($whole) {
                my $page = "bought " . number($conn->{n}) . "\n";
                my $ok = $conn->{in} =~ /\AHTTP\/1\.1 200 /
                         && $conn->{in} =~ /\r\n\r\n\Q$page\E\z/;

                print { $ok ? $seen : $wrong } number($conn->{n}), "\n";

                if ($got && $n <= $to
                    && ($n - $from) / $rate <= time - $first)
                {
                    $conn->{in} = '';
                    ask($sock, $conn, $n++);
                    next;
                }

            } elsif ($got) {
                next;

            } elsif ($conn->{in} ne '') {
                print {$wrong} number($conn->{n}), " $conn->{in}\n";
            }

            $select->remove($sock);
            delete $conn{$sock};
            close $sock;
        }
    }

    close $seen;
    close $wrong;
    POSIX::_exit(0);
}


sub ask {
    my ($sock, $conn, $n) = @_;

    $conn->{n} = $n;
    syswrite $sock, 'GET /checkout?m=' . member($n) . '&o=' . number($n)
                    . " HTTP/1.1\r\nHost: shop\r\n\r\n";
    return;
}


# purchases at some rate, and meanwhile what is to happen, at equal distances
sub run {
    my ($what, $count, @happen) = @_;
    my $rate = $LARGE ? 1000 : 500;               # of each client
    my $each = int $count / $CLIENTS;
    my $before = $next;

    my @pids = map {
        my $from = $next;
        $next += $each;
        client($_, $from, $next - 1, $rate);
    } 1 .. $CLIENTS;

    my $seconds = $each / $rate;
    my $started = time;

    for my $i (0 .. $#happen) {
        my $due = $started + $seconds * ($i + 0.7) / @happen;
        sleep $due - time if $due > time;
        $happen[$i]->();
    }

    for my $pid (@pids) {
        waitpid $pid, 0;
        is($?, 0, "$what: a client has finished");
        $t->unguard($pid);
    }

    return ($before, $next - 1, map { lines("seen.$_") } 1 .. $CLIENTS);
}


sub lines { return split /\n/, $t->read_file($_[0]) }


# ---- what happens ----

sub redis_gone {
    $t->redis_kill;
    sleep $LARGE ? 1.5 : 1.2;
    $t->redis_start;
    return;
}


sub redis_stalls {
    $t->redis_stall;
    sleep 0.7;
    $t->redis_go;
    return;
}


# one worker at a time, or all of them; how many
sub workers {
    my ($signal) = @_;
    my @workers = $t->workers;

    pop @workers if @workers > 1 && rand() < 0.5;
    my $n = kill $signal, @workers;
    $t->wait_for(sub { 2 == grep { my $pid = $_;
                                   !grep { $_ == $pid } @workers }
                       $t->workers } , 3) if @workers > 1;
    return $n;
}


# ---- and what has come of it ----

# all are told once more, by the shop's server: those that were credited are
# duplicates, and then each counts once
sub check {
    my ($what, $from, $to, @seen) = @_;
    my %seen = map { $_ => 1 } @seen;
    my (%new, $answered);

    cmp_ok(scalar keys %seen, '>', 0.9 * ($to - $from + 1),
           "$what: most pages were seen");
    is_deeply([map { lines("wrong.$_") } 1 .. $CLIENTS], [],
              "$what: no other page was");

    my $settled = $t->wait_for(sub {
        my $metrics = eval { $t->metrics } // return 0;
        my %left = map { $_ => $metrics->{"nginx_loyalty_$_\{program=\"shop\"}"}
                         // 1 } qw(ring_used_slots spool_bytes);
        return !grep { $_ } values %left;
    }, 30);
    ok($settled, "$what: nothing is left in ring and spool");

    # both workers have found Redis again
    my $well = 0;
    $t->wait_for(sub {
        my ($line) = $t->events([{ id => 'warm', member => 'warm',
                                   type => 'purchase' }])->lines;
        $well = ($line->{status} // 0) == 200 ? $well + 1 : 0;
        return $well == 10;
    }, 20);

    for (my $at = $from; $at <= $to; $at += 500) {
        my $last = $at + 499 > $to ? $to : $at + 499;
        my @events = map { { id => number($_), member => member($_),
                             type => 'purchase', amount => '1.00' } }
                     $at .. $last;

        for my $line ($t->events(\@events)->lines) {
            next if $line->{status} != 200;
            $answered++;
            $new{$line->{id}} = 1 if !$line->{duplicate};
        }
    }

    is($answered, $to - $from + 1, "$what: all can be told once more");

    my $sum = 0;
    $sum += $t->me("m$_")->json->{wallets}{points}{balance}
        for 0 .. $MEMBERS - 1;
    is($sum, $to, "$what: none was credited twice");

    my $unseen = $to - $from + 1 - keys %seen;
    my $more = $unseen - grep { !$seen{$_} } keys %new;
    note("$what: ", scalar keys %seen, " pages were seen, $more of $unseen ",
         'others were credited, too');

    return grep { $new{$_} } sort keys %seen;
}


# ---- Redis killed and stalled, workers terminated, reloads ----

my $times = $LARGE ? 10 : 2;

my @happen = map {
    my $n = $_;
    (\&redis_gone, sub { workers('TERM') },
     $n % 2 ? sub { ok($t->reload, "reload $n") } : \&redis_stalls);
} 1 .. $times;

my @run = run('all but kills', $TOTAL, @happen);
my @lost = check('all but kills', @run);

is_deeply(\@lost, [], 'each purchase whose page was seen is credited');

my $metrics = $t->metrics;
is($metrics->{"nginx_loyalty_observed_dropped_total{program=\"shop\","
              . "reason=\"$_\"}"}, 0, "nothing was dropped as $_")
    for qw(ring_full spool_full damaged);
cmp_ok($metrics->{'nginx_loyalty_spooled_total{program="shop"}'}, '>', 0,
       'some went through the spool');


# ---- workers killed ----

my $killed = 0;

@run = run('kills', $TOTAL / ($LARGE ? 1 : 2), map {
    my $n = $_;
    (sub { $killed += workers('KILL') }, $n % 3 ? () : \&redis_gone)
} 1 .. ($LARGE ? 10 : 3));
@lost = check('kills', @run);

# a worker goes from a page's last byte to its log phase without looking at any
# other request: what it had between them is one at most
cmp_ok(scalar @lost, '<=', $killed,
       'kills: no more are missing than were between last byte and log');
note(scalar @lost, " of them are missing after $killed workers were killed");

done_testing();
