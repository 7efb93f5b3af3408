package Loyalty::Bench::Plays;

# Plays of an instant win, all on one game with a stock of a million, each by
# a member with three purchases behind it: over HTTP, and from a driver that
# sends the same commands to Redis.
#
#     my $plays = Loyalty::Bench::Plays->new($bench);
#     $plays->mode('everysec');
#     $plays->http('lose')      one run: { rate, usec, calls, p99, front, ... }
#                               as those of Loyalty::Bench
#     $plays->driver('win')     { rate, usec } of the recorded commands
#     $plays->{n}               plays in a run (BENCH_PLAYS)
#
# 'lose' and 'win' are two games; 'event' is a purchase of the CDNOW program
# by members like theirs. There is no beacon: every hash is computed all the
# same.
#
# Commands of plays name the chunk of the log that they are written to, and a
# time that Redis holds against its own. So they are recorded in the order in
# which they were decided, one after another, and replayed over one
# connection, from the same state, to a Redis whose library reads its clock but
# holds it against nothing.

use strict;
use warnings;

use Loyalty::Bench;
use Loyalty::Bench::Machine;
use Loyalty::Bench::Recorder;
use POSIX ();
use Time::HiRes qw(sleep);

my @KINDS = qw(event lose win);


sub new {
    my ($class, $bench) = @_;
    my $self = bless { bench => $bench, n => $ENV{BENCH_PLAYS} // 20000,
                       run => 0 }, $class;
    my ($open, $close) = map {
        POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime time + $_)
    } -86400, 86400;

    $self->{secret} = $bench->{dir} . '/secret';
    open my $fh, '>', $self->{secret} or die "$self->{secret}: $!\n";
    print {$fh} 'main:', '5a' x 32, "\n";
    close $fh or die "$self->{secret}: $!\n";
    chmod 0600, $self->{secret};

    $self->{rules} = $Loyalty::Bench::RULES . <<"END";
    secret_file $self->{secret};
    instant_win lose { open $open; close $close; draw odds; limit 100 per day;
                       prize car { stock 1000000; odds 1/1000000000; } }
    instant_win win { open $open; close $close; draw odds; limit 100 per day;
                      prize car { stock 1000000; odds 1/1; award points 20; } }
END

    $self->{redis} = Loyalty::Bench::redis_server();
    $self->{other} = Loyalty::Bench::redis_server();
    $self->_record($_) for @KINDS;
    $self->{nginx} = $self->_nginx(Loyalty::Bench::socket_of($self->{redis}));
    $self->_library;

    return $self;
}


sub mode {
    my ($self, $mode) = @_;

    for my $redis (map { $self->{$_}->redis } qw(redis other)) {
        $redis->call('CONFIG', 'SET', 'appendfsync',
                     $mode eq 'always' ? 'always' : 'everysec');
        $redis->call('CONFIG', 'SET', 'appendonly',
                     $mode eq 'none' ? 'no' : 'yes');
        sleep 0.05 while $redis->call('INFO', 'persistence')
                         =~ /aof_rewrite_in_progress:1/;
    }

    return;
}


# ---- requests ----

sub _write {
    my ($self, $name, @requests) = @_;

    return $self->{bench}{work}->write($name, @requests);
}


sub _members { my ($self, $r) = @_; return map { "r$r-$_" } 1 .. $self->{n} }


sub _event {
    my ($member, $id) = @_;

    return qq({"id":"$id","member":"$member","type":"purchase",)
           . qq("amount":"11.77"});
}


sub _post {
    my ($path, $body, %headers) = @_;

    return "POST $path HTTP/1.1\r\nHost: localhost\r\n"
           . "User-Agent: bench/1.0\r\nAccept: */*\r\n"
           . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
           . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


sub _play {
    my ($game, $member) = @_;

    return _post("/loyalty/games/$game/plays", '', 'X-Member' => $member,
                 'Idempotency-Key' => "0c8f2d6e-$member");
}


sub _requests {
    my ($self, $what, $r) = @_;

    return $self->_write("plays-$what", map {
        $what eq 'event'
        ? _post('/loyalty-in/events', _event($_, 'e4'),
                'Content-Type' => 'application/json')
        : _play($what, $_)
    } $self->_members($r));
}


# three purchases of each member

sub _prepare {
    my ($self, $nginx, $r) = @_;
    my @lines = map { my $m = $_; map { _event($m, "e$_") . "\n" } 1 .. 3 }
                $self->_members($r);
    my @requests;

    while (my @some = splice @lines, 0, 300) {
        push @requests, _post('/loyalty-in/events', join('', @some),
                              'Content-Type' => 'application/x-ndjson');
    }

    $self->{bench}->load($nginx->port('shop'),
                         $self->_write('plays-before', @requests), -c => 4);

    return;
}


# nginx, once its games are registered

sub _nginx {
    my ($self, $where) = @_;
    my $nginx = $self->{bench}->module_nginx(shop => $self->{rules}, $where);

    for my $game (qw(lose win)) {
        my $file = $self->_write('plays-first', _play($game, "first-$game"));

        $nginx->wait_for(sub {
            my %r = $self->{bench}->load($nginx->port('shop'), $file,
                                         -c => 1);
            return !$r{wrong};
        }) or die "$game is not registered\n", $nginx->log;
    }

    return $nginx;
}


# ---- what the driver sends ----

# one worker, one connection, one after another

sub _record {
    my ($self, $what) = @_;
    local $Loyalty::Bench::WORKERS = 1;
    my ($bench, $redis) = @$self{qw(bench redis)};
    my $listen = $redis->dir . "/recorder-$what";
    my $recorder = Loyalty::Bench::Recorder->new(
        $listen, Loyalty::Bench::socket_of($redis),
        "$bench->{dir}/plays-recorded");
    my $nginx = $self->_nginx($listen);

    $bench->say("recording $self->{n} commands of $what");
    $self->_prepare($nginx, $what);

    # as it is before the first one
    $self->{before}{$what} = Loyalty::Bench::redis_server();
    _copy($redis, $self->{before}{$what});

    my %r = $bench->load($nginx->port('shop'),
                         $self->_requests($what, $what), -c => 1);

    $r{wrong} == 0 or die "$what: $r{wrong} were refused\n";
    $nginx->stop;

    my @calls = _calls($recorder->stop, $what eq 'event' ? 'event' : 'play');

    splice @calls, 0, @calls - $self->{n} if @calls > $self->{n};
    $self->{commands}{$what} = $self->_write("plays-$what-commands", @calls);
    $redis->redis->call('FLUSHALL');

    return;
}


# the calls of a function among all that was sent

sub _calls {
    my ($bytes, $function) = @_;
    my ($from, @calls) = (0);

    while ($from < length $bytes) {
        my @words;

        pos($bytes) = $from;
        $bytes =~ /\G\*(\d+)\r\n/g or die "not a command at $from\n";

        for (1 .. $1) {
            $bytes =~ /\G\$(\d+)\r\n/gc or die "not a command at $from\n";
            push @words, @words < 2 ? substr $bytes, pos $bytes, $1 : '';
            pos($bytes) = pos($bytes) + $1 + 2;
        }

        push @calls, substr $bytes, $from, pos($bytes) - $from
            if $words[0] eq 'FCALL' && $words[1] =~ /^${function}_/;
        $from = pos $bytes;
    }

    return @calls;
}


# all keys of one Redis into another one

sub _copy {
    my ($from, $to) = @_;
    my @keys = @{ $from->redis->call('KEYS', '*') };

    $to->redis->call('FLUSHALL');

    while (my @some = splice @keys, 0, 500) {
        my @dumps = $from->redis->pipeline(map { ['DUMP', $_] } @some);

        $to->redis->pipeline(map { ['RESTORE', $some[$_], 0, $dumps[$_]] }
                             0 .. $#some);
    }

    return;
}


sub _library {
    my ($self) = @_;
    my ($library) = grep { !/Loyalty::RESP/ } $self->{redis}->redis->call(
        'FUNCTION', 'LIST', 'WITHCODE');
    my %of = @{ $library->[0] };
    my $source = $of{library_code};

    $source =~ s/t > now \+ SKEW or t < now - SKEW or/false or/
        or die "the library has no clock\n";
    $self->{other}->redis->call('FUNCTION', 'LOAD', $source);

    return;
}


# ---- runs ----

sub _usec {
    my ($t) = @_;
    my ($calls, $usec, $failed) = $t->redis->call('INFO', 'commandstats')
        =~ /^cmdstat_fcall:calls=(\d+),usec=\d+,usec_per_call=([0-9.]+),.*failed_calls=(\d+)/m;

    $failed == 0 or die "$failed calls failed\n";

    return ($calls, $usec);
}


sub http {
    my ($self, $what) = @_;

    $self->_prepare($self->{nginx}, ++$self->{run});

    my $file = $self->_requests($what, $self->{run});

    $self->{redis}->redis->call('CONFIG', 'RESETSTAT');

    my $meter = Loyalty::Bench::Machine->new(
        front => [ Loyalty::Bench::processes($self->{nginx}) ],
        redis => [ $self->{redis}{redis}{pid} ]);

    $meter->start;
    my %r = $self->{bench}->load($self->{nginx}->port('shop'), $file,
                                 -c => 64);
    my %used = $meter->stop;
    my ($calls, $usec) = _usec($self->{redis});

    $r{wrong} == 0 or die "$what: $r{wrong} were refused\n";

    return { %used, tool => $r{cpu}, events => $self->{n},
             seconds => $r{seconds}, rate => $self->{n} / $r{seconds},
             usec => $usec, calls => $calls / $self->{n},
             p99 => $r{p99} / 1000 };
}


sub driver {
    my ($self, $what) = @_;

    _copy($self->{before}{$what}, $self->{other});
    $self->{other}->redis->call('CONFIG', 'RESETSTAT');

    my %r = $self->{bench}->tool('driver',
                                 Loyalty::Bench::socket_of($self->{other}),
                                 $self->{commands}{$what}, -c => 1,
                                 -d => 128);
    my ($calls, $usec) = _usec($self->{other});

    $r{wrong} == 0 && $calls == $self->{n}
        or die "driver: $r{wrong} of $calls were refused\n";

    return { rate => $self->{n} / $r{seconds}, usec => $usec };
}


1;
