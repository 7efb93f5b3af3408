package Loyalty::Bench::Draws;

# Sweepstakes of a million members, closed and drawn beside live traffic.
#
#     my $draw = Loyalty::Bench::Draws::measure($bench);
#         entries => n
#         closes => [{ seconds, p50, p90, p99, calm_p50, ... }, ...]  in ms
#         draw => [seconds, ...]      draws of the same entries
#         rate                        plays/s
#
# Entries are put into Redis as enter_H appends them; one sweepstakes closes
# after the other.  Live traffic is plays of an instant win at equal distances,
# over connections to both workers, of which one closes; each is measured from
# when it was due.

use strict;
use warnings;

use Digest::SHA qw(sha256 hmac_sha256);
use IO::Socket::INET;
use Loyalty::MsgPack;
use Loyalty::Test;
use POSIX ();
use Time::HiRes qw(time sleep);

my $ENTRIES = $ENV{BENCH_ENTRIES} // 1_000_000;
my $CHUNK = 4096;
my $RATE = 500;                 # plays a second
my $CONNECTIONS = 8;
my $CLOSES = $ENTRIES > 2e6 ? 1 : 3;
my $CALM = 8;                   # seconds before a close
my $DRAWS = 5;


sub measure {
    my ($bench) = @_;
    my $t = Loyalty::Test->new(start => 0, program => 'wallet points;',
                               workers => 2,
                               server => 'keepalive_requests 1000000;',
                               files => { secret => 'main:' . '5a' x 32
                                          . "\n" });
    my $open = int(time) - 86400;
    my @tags = map { _plant($bench, $t, $open, "big$_") } 1 .. $CLOSES;
    my @close = map { int(time) + 4 + ($CALM + 4) * $_ } 1 .. $CLOSES;

    $t->write_file('program.conf', _program($open, @close));
    $t->start;
    $t->wait_for(sub { _play($t, 'first') }, 60) or die "no play\n", $t->log;

    my $traffic = _traffic($t, $t->dir . '/latency');
    my @spans = map { _close($bench, $t, $tags[$_], $close[$_]) } 0 .. $#tags;

    kill 'TERM', $traffic;
    waitpid $traffic, 0;

    my %draw = (entries => $ENTRIES, rate => $RATE,
                draw => [ _draws($t, $tags[-1]) ],
                closes => [ map { _latency($t->dir . '/latency', @$_) }
                            @spans ]);

    $t->stop;
    $t->redis_stop;

    return \%draw;
}


# from when nobody enters any more to the signed close; the draw follows at
# once

sub _close {
    my ($bench, $t, $tag, $close) = @_;
    my ($redis, %at) = ($t->redis);

    $bench->say('closing');

    while (!$at{2}) {
        my $phase = _phase($redis, $tag);
        $at{$phase > 2 ? 2 : $phase} //= time;
        time < $close + 120 + $ENTRIES / 5e4
            or die "it does not close\n", $t->log;
        sleep 0.01;
    }

    $t->wait_for(sub { _phase($redis, $tag) == 4 }, 30)
        or die "it is not drawn\n";

    return [ $at{1} // $at{2}, $at{2} ];
}


# how long draws took: the last one, and the same again

sub _draws {
    my ($t, $tag) = @_;
    my $redis = $t->redis;
    my $seen = qr/positions are filled, in (\d+) ms/;
    my @draws = $t->log =~ /$seen/g;

    while (@draws < $DRAWS) {
        _again($redis, $tag);
        $t->wait_for(sub { _phase($redis, $tag) == 4 }, 60)
            or die "it is not drawn again\n";
        @draws = $t->log =~ /$seen/g;
    }

    return map { $_ / 1000 } @draws;
}


sub _at { return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }


sub _program {
    my ($open, @close) = @_;
    my $n = 0;

    return <<"END" . join '', map { $n++; <<"BIG" } @close;
unsafe_store on;
secret_file %%TESTDIR%%/secret;
wallet points;
instant_win scratch { open @{[_at($open)]}; close @{[_at($open + 90 * 86400)]};
                      limit 10000 per day; draw odds;
                      prize car { stock 1000000; odds 1/1000; }
                      prize pen { odds 1/5; award points 20; } }
END
sweepstakes big$n { open @{[_at($open)]}; close @{[_at($_)]};
                    prize trip { stock 1000; } }
BIG
}


# entries of 10 tickets, each of another member, and what a worker registers

sub _plant {
    my ($bench, $t, $open, $name) = @_;

    $bench->say("making $ENTRIES entries");

    my $lp = sub { return pack('N', length $_[0]) . $_[0] };
    my $cid = substr sha256("nginx-loyalty/1 campaign\0" . $lp->('shop')
                            . $lp->($name) . pack('Q>', $open * 1000)), 0, 16;
    my $tag = "{shop:g:$name:" . unpack('H*', $cid) . '}';
    my $head = "nginx-loyalty/1 entry\0$cid";
    my ($chunk, $n, $commit) = ('', 0, 'c' x 32);

    for my $seq (0 .. $ENTRIES - 1) {
        $chunk .= $head . pack('Q>Q>Q>N', $seq, $open * 1000 + $seq,
                               $seq * 10, 10)
                  . sha256("m$seq") . $commit . "\1\0";

        if ($seq % $CHUNK == $CHUNK - 1 || $seq == $ENTRIES - 1) {
            $t->redis->call('SET', "$tag:e:" . $n++, $chunk);
            $chunk = '';
        }
    }

    $t->redis->call('HSET', "$tag:meta", 'salt', 'S' x 16, 'secret', 'main');
    $t->redis->call('SET', "$tag:s", _pack(1, 0 + $ENTRIES, 0, 1, 0,
                                           0, 10 * $ENTRIES, 0));

    return $tag;
}


sub _pack { return join '', map { Loyalty::MsgPack::encode($_) } @_ }


sub _state {
    my ($redis, $tag) = @_;
    my $raw = $redis->call('GET', "$tag:s");
    my @state;

    while (length $raw) {
        my ($value, $behind) = Loyalty::MsgPack::decode_at($raw, 0);
        push @state, $value;
        substr $raw, 0, $behind, '';
    }

    return @state;
}


sub _phase { return (_state(@_))[5] }


# back to "closed", as if it had not been drawn; a worker that was looking at
# its winners is perplexed, and looks again after 30 s

sub _again {
    my ($redis, $tag) = @_;
    my @state = _state($redis, $tag);

    $state[5] = 2;
    $redis->call('MULTI');
    $redis->call('DEL', "$tag:w", "$tag:f:picks", "$tag:f:reveal");
    $redis->call('SET', "$tag:s", _pack(@state));
    $redis->call('EXEC');
}


sub _play {
    my ($t, $key) = @_;

    return $t->post('/loyalty/games/scratch/plays', undef, headers => {
        'X-Member' => 'first', 'Idempotency-Key' => $key })->status == 200;
}


sub _traffic {
    my ($t, $file) = @_;
    my $port = $t->port;
    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;

    my @socks = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")
                      // POSIX::_exit(1) } 1 .. $CONNECTIONS;
    my $running = 1;
    open my $fh, '>', $file or POSIX::_exit(1);

    $SIG{TERM} = sub { $running = 0 };

    for (my ($n, $due) = (0, time); $running; $n++, $due += 1 / $RATE) {
        my $wait = $due - time;
        my $sock = $socks[$n % @socks];
        my $reply = '';

        sleep $wait if $wait > 0;

        syswrite $sock, "POST /loyalty/games/scratch/plays HTTP/1.1\r\n"
            . "Host: a\r\nX-Member: m@{[$n % 1000]}\r\n"
            . "Idempotency-Key: $n\r\nContent-Length: 0\r\n\r\n";

        while ($reply !~ /\r\n\r\n\{.*\}\}$/s) {
            sysread($sock, $reply, 65536, length $reply)
                or $running ? POSIX::_exit(1) : last;
        }

        printf {$fh} "%.6f %.6f\n", $due, time - $due;
    }

    close $fh;
    POSIX::_exit(0);
}


sub _latency {
    my ($file, $from, $to) = @_;
    my %ms = (calm_ => [], '' => []);

    open my $fh, '<', $file or die "$file: $!\n";

    while (<$fh>) {
        my ($due, $took) = split;

        push @{$ms{calm_}}, $took * 1000
            if $due > $from - $CALM && $due < $from - 1;
        push @{$ms{''}}, $took * 1000 if $due >= $from && $due < $to;
    }

    my %close = (seconds => $to - $from);

    for my $when (keys %ms) {
        my @sorted = sort { $a <=> $b } @{$ms{$when}};
        $close{"${when}p$_"} = $sorted[@sorted * $_ / 100] for 50, 90, 99;
    }

    return \%close;
}


1;
