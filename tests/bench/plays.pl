#!/usr/bin/perl

# What a play of an instant win costs: over HTTP against a driver that sends
# the same commands to Redis, beside an event, and lost beside won.  All on one
# game with a stock of a million, without a beacon: every hash is computed
# all the same.
#
#     plays.pl [--plays N] [--rounds N] [--mode none|everysec|always]

use strict;
use warnings;

use Cwd qw(realpath);
use FindBin;
use Getopt::Long;

my $root;

BEGIN { $root = realpath("$FindBin::RealBin/../..") }

use lib "$root/tests/bench", "$root/tests/replay", "$root/t/lib",
        "$root/bin/lib";

use File::Path qw(make_path);
use List::Util qw(sum);
use Loyalty::Bench;
use Loyalty::Bench::Machine;
use Loyalty::Bench::Recorder;
use Loyalty::HTTP;
use Loyalty::Test;
use POSIX qw(strftime);
use Time::HiRes qw(sleep time);

my %opt = (plays => 20000, rounds => 5, mode => 'everysec');

GetOptions(\%opt, 'plays=i', 'rounds=i', 'mode=s') or exit 2;

my $dir = "$root/build/bench";
my $bench = bless { dir => $dir }, 'Loyalty::Bench';
my $n = $opt{plays};
my $run = 0;

make_path($dir);
$bench->compile($_) for qw(driver load);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-86400), at(86400));
my $rules = $Loyalty::Bench::RULES . <<END;
    secret_file $dir/secret;
    instant_win lose { open $open; close $close; draw odds; limit 100 per day;
                       prize car { stock 1000000; odds 1/1000000000; } }
    instant_win win { open $open; close $close; draw odds; limit 100 per day;
                      prize car { stock 1000000; odds 1/1; } }
END

open my $fh, '>', "$dir/secret" or die "$dir/secret: $!\n";
print {$fh} 'main:', '5a' x 32, "\n";
close $fh;
chmod 0600, "$dir/secret";

my $redis = Loyalty::Bench::redis_server();
my $other = Loyalty::Bench::redis_server();


# requests of one run, each of another member with three purchases behind it

sub write_requests {
    my ($name, @requests) = @_;

    open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!\n";
    print {$out} map { pack('L', length $_) . $_ } @requests;
    close $out or die "$dir/$name: $!\n";

    return "$dir/$name";
}

sub event_line {
    my ($member, $id) = @_;

    return qq({"id":"$id","member":"$member","type":"purchase",)
           . qq("amount":"11.77"});
}

sub post {
    my ($path, $body, %headers) = @_;

    return "POST $path HTTP/1.1\r\nHost: localhost\r\n"
           . "User-Agent: bench/1.0\r\nAccept: */*\r\n"
           . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
           . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}

sub members { my ($r) = @_; return map { "r$r-$_" } 1 .. $n }

sub requests {
    my ($what, $r) = @_;
    my @members = members($r);

    return write_requests("plays-$what", map {
        $what eq 'event'
        ? post('/loyalty-in/events', event_line($_, 'e4'),
               'Content-Type' => 'application/json')
        : post("/loyalty/games/$what/plays", '', 'X-Member' => $_,
               'Idempotency-Key' => "0c8f2d6e-$_")
    } @members);
}

sub prepare {
    my ($nginx, $r) = @_;
    my @lines = map { my $m = $_; map { event_line($m, "e$_") . "\n" } 1 .. 3 }
                members($r);
    my @requests;

    while (my @some = splice @lines, 0, 300) {
        push @requests, post('/loyalty-in/events', join('', @some),
                             'Content-Type' => 'application/x-ndjson');
    }

    $bench->load($nginx->port('shop'),
                 write_requests('plays-before', @requests), -c => 4);

    return;
}

sub mode {
    my ($t) = @_;

    $t->redis->call('CONFIG', 'SET', 'appendfsync',
                    $opt{mode} eq 'always' ? 'always' : 'everysec');
    $t->redis->call('CONFIG', 'SET', 'appendonly',
                    $opt{mode} eq 'none' ? 'no' : 'yes');
    sleep 0.1 while $t->redis->call('INFO', 'persistence')
                    =~ /aof_rewrite_in_progress:1/;

    return;
}

sub usec {
    my ($t) = @_;
    my ($calls, $usec) = $t->redis->call('INFO', 'commandstats')
        =~ /^cmdstat_fcall:calls=(\d+),usec=\d+,usec_per_call=([0-9.]+)/m;

    return ($calls, $usec);
}


# nginx, once its games are registered

sub nginx {
    my ($where) = @_;
    my $nginx = $bench->module_nginx(shop => $rules, $where);

    for my $game (qw(lose win)) {
        my $file = write_requests('plays-first', post(
            "/loyalty/games/$game/plays", '', 'X-Member' => "first-$game",
            'Idempotency-Key' => 'first'));

        for (1 .. 50) {
            my %r = $bench->load($nginx->port('shop'), $file, -c => 1);
            last if !$r{wrong};
            sleep 0.1;
        }
    }

    return $nginx;
}


# ---- the driver's commands: one worker, one connection, one after another ----

my (%commands, %before);

for my $what (qw(event lose win)) {
    local $Loyalty::Bench::WORKERS = 1;
    my $listen = $redis->dir . "/recorder-$what";
    my $recorder = Loyalty::Bench::Recorder->new(
        $listen, Loyalty::Bench::socket_of($redis), "$dir/plays-recorded");
    my $nginx = nginx($listen);

    prepare($nginx, $what);

    # as it is before the first one
    $before{$what} = Loyalty::Bench::redis_server();
    copy($redis, $before{$what});

    my %r = $bench->load($nginx->port('shop'), requests($what, $what),
                         -c => 1);

    $r{wrong} == 0 or die "$what: $r{wrong} were refused\n";
    $nginx->stop;

    my $function = $what eq 'event' ? 'event' : 'play';
    my @calls = calls($recorder->stop, $function);

    splice @calls, 0, @calls - $n if @calls > $n;
    $commands{$what} = write_requests("plays-$what-commands", @calls);
    $redis->redis->call('FLUSHALL');
}


# the calls of a function among all that was sent

sub calls {
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

sub copy {
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

# The commands are older than a play may be: the clock is read, but not held
# against theirs.

my $source = do { local (@ARGV, $/) = "$root/build/loyalty.lua"; <> };

$source =~ s/t > now \+ SKEW or t < now - SKEW or/false or/
    or die "the library has no clock\n";
$other->redis->call('FUNCTION', 'LOAD', $source);


# ---- runs ----

my $nginx = nginx(Loyalty::Bench::socket_of($redis));
my %measured;

mode($_) for $redis, $other;

for my $round (1 .. $opt{rounds}) {
    for my $what (qw(event lose win)) {
        prepare($nginx, ++$run);

        my $file = requests($what, $run);

        $redis->redis->call('CONFIG', 'RESETSTAT');
        my %r = $bench->load($nginx->port('shop'), $file, -c => 64);
        my ($calls, $usec) = usec($redis);

        $r{wrong} == 0 or die "$what: $r{wrong} were refused\n";
        push @{ $measured{$what} }, { rate => $n / $r{seconds}, usec => $usec,
                                      calls => $calls / $n, p99 => $r{p99} };
    }

    # one connection: plays of another order would belong to other chunks

    for my $what (qw(event lose win)) {
        copy($before{$what}, $other);
        $other->redis->call('CONFIG', 'RESETSTAT');

        my %r = $bench->tool('driver', Loyalty::Bench::socket_of($other),
                             $commands{$what}, -c => 1, -d => 128);
        my ($calls, $usec) = usec($other);

        $r{wrong} == 0 or die "driver: $r{wrong} of $n were refused\n";
        push @{ $measured{"$what driver"} },
            { rate => $n / $r{seconds}, usec => $usec };
    }
}

sub median {
    my ($what, $field) = @_;
    my @sorted = sort { $a <=> $b } map { $_->{$field} } @{ $measured{$what} };

    return $sorted[@sorted / 2];
}

my @ratio = (
    ['plays over HTTP against the driver', '>= 0.75',
     median('lose', 'rate') / median('lose driver', 'rate')],
    ['usec_per_call of a play against an event', '<= 1.3',
     median('lose driver', 'usec') / median('event driver', 'usec')],
    ['usec_per_call of a play that wins against one that loses',
     '0.9 to 1.1',
     median('win driver', 'usec') / median('lose driver', 'usec')],
);

printf "%d plays a run, %d rounds, durability %s\n\n", $n, $opt{rounds},
       $opt{mode};
printf "%-57s %-11s %.2f\n", @$_ for @ratio;
print "\n";
printf "%-13s %7.0f a second, %.1f us a call%s\n", $_, median($_, 'rate'),
       median($_, 'usec'), /driver/ ? ''
       : sprintf ', %.2f calls each, p99 %.1f ms', median($_, 'calls'),
                 median($_, 'p99') / 1000
    for map { ($_, "$_ driver") } qw(event lose win);
