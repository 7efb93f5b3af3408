package Loyalty::Bench::Rows;

# The rows of the table: what each compares, its goal, and what to say about
# it.
#
#     my @rows = Loyalty::Bench::Rows::rows();      # { name, figure, runs }
#     my $rows = Loyalty::Bench::Rows->new($bench, modes => [...],
#                                          rounds => 5);
#     my @measured = $rows->measure(@rows);
#         # { figure, goal, cells => { mode => text } or cell, reached, how,
#         #   details => [text], why }
#     $rows->{failed}     how many of them could not be measured
#
# Runs are shared by the rows that need them.  In each round all of them are
# done once, one after the other; a ratio is that of two runs of one round,
# and what is shown is the median of the rounds.

use strict;
use warnings;
use utf8;

use Loyalty::Bench::Draws;
use Loyalty::Bench::Machine;
use Loyalty::Bench::Members;
use Loyalty::Bench::Plays;
use Loyalty::Bench::Profile;
use Loyalty::Bench::Shop;

my $MAIN = 'everysec';          # the durability that goals are about
my $BATCHES = 40;               # of 1,000 events, for each number of members


# ---- the rows ----

# compare: [A, B], rate or front: A over B; goal: [op, ratio]
my @ROWS = (
    { name => 'ndjson', figure => 'NDJSON events against the driver',
      goal => ['≥', 0.9], runs => [qw(driver batch)], what => 'rate',
      compare => [qw(batch driver)],
      how => 'Batches of 1,000 lines over 4 connections, against the'
          . ' commands that the module sent for the same events, replayed to'
          . ' the same Redis over 4 connections, 32 deep.' },

    { name => 'single', figure => 'single events against the driver',
      goal => ['≥', 0.75], runs => [qw(driver single)], what => 'rate',
      compare => [qw(single driver)],
      how => 'One event a request over 64 connections that are kept open,'
          . ' against the same driver.' },

    { name => 'lua', figure => 'throughput against lua-nginx-module',
      goal => ['≥', 1.8], runs => [qw(single lua)], what => 'rate',
      compare => [qw(single lua)],
      how => 'The same requests to lua-nginx-module with lua-resty-redis'
          . ' and its pool, which calls the same function with the same'
          . ' arguments and answers the same.' },

    { name => 'lua-cpu', figure => 'CPU in front of Redis, the same',
      goal => ['≤', 1 / 2.5], runs => [qw(single lua)], what => 'front',
      compare => [qw(single lua)],
      how => 'CPU time of all nginx processes an event.' },

    { name => 'node', figure => 'throughput against Fastify',
      goal => ['≥', 3.5], runs => [qw(single node)], what => 'rate',
      compare => [qw(single node)],
      how => 'The same requests to nginx in front of Fastify with ioredis,'
          . ' one process with automatic pipelining, which answers the'
          . ' same.' },

    { name => 'node-cpu', figure => 'CPU in front of Redis, the same',
      goal => ['≤', 1 / 5], runs => [qw(single node)], what => 'front',
      compare => [qw(single node)],
      how => 'CPU time of all nginx and node processes an event.' },

    { name => 'return', figure => 'nginx CPU against "return 200"',
      goal => ['≤', 2.2], runs => [qw(single return)], what => 'front',
      compare => [qw(single return)],
      how => 'CPU time of nginx an event; the same requests, with their'
          . ' bodies, to a location that returns a fixed text of the same'
          . ' size.' },

    { name => 'games', figure => '200 games against 10, 3 of them matching',
      goal => ['≥', 0.9], runs => [qw(few many)], what => 'rate',
      compare => [qw(many few)],
      how => 'NDJSON to two programs in one nginx. A third of the games that'
          . ' do not match is for another type of event, a third compares'
          . ' the channel, a third a field that is not there.' },

    { name => 'members', figure => '1,000,000 members against 1,000',
      goal => ['≥', 0.9], runs => [], measure => \&members,
      how => 'Batches of 1,000 new events of 1,000 members, in turn to two'
          . ' Redis servers that hold so many members in the same state;'
          . ' no durability.' },

    { name => 'function', figure => 'microseconds of a call (usec_per_call)',
      goal => ['≤', 20], runs => [qw(batch)], measure => \&function,
      how => 'INFO commandstats of the NDJSON runs. It is elapsed time:'
          . ' what interrupts Redis counts.' },

    { name => 'memory', figure => 'bytes of Redis a member, all in',
      goal => ['≤', 600], runs => [qw(batch)], measure => \&memory,
      how => 'used_memory after all events less that of the empty Redis,'
          . ' over the members; and MEMORY USAGE of all keys by kind.' },

    { name => 'latency', figure => 'p50 / p99 in ms at half the throughput',
      goal => undef, runs => [qw(single)], measure => \&latency,
      how => 'Single events that are due at equal distances, half as many a'
          . ' second as the row of single events found; the time since an'
          . ' event was due.' },

    { name => 'observe', figure => 'p99 of a shop, observed against not',
      goal => ['≤', 1.1], runs => [], measure => \&shop,
      with => 'seen', backend => 'slow', value => sub { $_[0] / $_[1] },
      how => 'Pages of a backend of 15 to 25 ms, at half of what can be'
          . ' answered and decided, with loyalty_observe and without; Redis'
          . ' is there / stalled / gone / resets connections.' },

    { name => 'observe-fast', figure => 'p99 of a fast shop, more in ms',
      goal => ['≤', 1], runs => [], measure => \&shop,
      with => 'seen', backend => 'fast', value => sub { $_[0] - $_[1] },
      how => 'The same with a backend that answers at once: the difference'
          . ' of the two.' },

    { name => 'lookup', figure => 'p99 of a shop, with lookups against without',
      goal => ['≤', 1.1], runs => [], measure => \&shop,
      with => 'known', backend => 'slow', value => sub { $_[0] / $_[1] },
      how => 'Pages of a backend of 15 to 25 ms, at half of what can be'
          . ' answered, with loyalty_lookup and without; Redis is there /'
          . ' stalled / gone / resets connections.' },

    { name => 'lookup-fast', figure => 'p99 of a fast shop with lookups, more'
          . ' in ms',
      goal => ['≤', 1], runs => [], measure => \&shop,
      with => 'known', backend => 'fast', value => sub { $_[0] - $_[1] },
      how => 'The same with a backend that answers at once: the difference'
          . ' of the two.' },

    { name => 'plays', figure => 'plays over HTTP against the driver',
      goal => ['≥', 0.75], runs => [], measure => \&plays,
      how => 'Plays over 64 connections, all on one game with a stock of'
          . ' 1,000,000, each by a member with three purchases behind it,'
          . ' against the commands that the module sent for such plays.' },

    { name => 'play-call', figure => 'usec_per_call of a play against an event',
      goal => ['≤', 1.3], runs => [], measure => \&play_call,
      compare => [qw(lose event)],
      how => 'INFO commandstats while the driver sends plays, and purchases'
          . ' of the CDNOW program by such members, the least of all rounds;'
          . ' no durability.' },

    { name => 'play-win', figure => 'the same of a play that wins and one that'
          . ' loses', goal => ['±', 0.1], runs => [], measure => \&play_call,
      compare => [qw(win lose)],
      how => 'Every play wins 20 points, or none wins.' },

    { name => 'winners', figure => 'seconds for 1,000 winners of 10^7 tickets',
      goal => ['≤', 0.1], runs => [], measure => \&winners,
      how => 'A sweepstakes of 1,000,000 members with 10 tickets each, drawn'
          . ' by the worker that leads, from its key to the result in Redis,'
          . ' as its log says.' },

    { name => 'closing', figure => 'seconds to close 1,000,000 entries',
      goal => ['≤', 10], runs => [], measure => \&closing,
      how => 'The same sweepstakes: from the moment that nobody enters any'
          . ' more to the signed close, beside live plays.'
          . ' BENCH_ENTRIES=10000000 for more of them.' },

    { name => 'closing-p99', figure => 'p99 of plays meanwhile against before',
      goal => ['≤', 2], runs => [], measure => \&closing_p99,
      how => 'Plays of an instant win in the same Redis, due at equal'
          . ' distances over 8 connections, to both workers, of which one'
          . ' closes.' },
);


sub rows { return @ROWS }


sub new {
    my ($class, $bench, %arg) = @_;

    return bless { bench => $bench, runs => {}, %arg }, $class;
}


sub measure {
    my ($self, @rows) = @_;
    my (%need, @measured);

    for my $row (@rows) {
        $need{$_} = 1 for @{$row->{runs}};
    }

    my @runs = grep { $need{$_} && $self->{bench}->can_run($_) }
               qw(driver batch single return lua node few many);

    $self->rounds($_, @runs) for @{$self->{modes}};

    for my $row (@rows) {
        my ($gone) = grep { !$self->{bench}->can_run($_) } @{$row->{runs}};
        my %done = defined $gone
            ? (cell => '', reached => 'not measured',
               details => [ $self->{bench}{missing}{$gone} ])
            : $self->one($row);

        push @measured, { figure => $row->{figure}, how => $row->{how},
                          goal => goal($row->{goal}), reached => '', %done };
    }

    return @measured;
}


# A row that cannot be measured takes no other one with it.
sub one {
    my ($self, $row) = @_;
    my %done = eval { ($row->{measure} // \&compare)->($self, $row) };

    return %done if %done;
    die $@ if $@ =~ /^interrupted/;

    $self->{failed}++;
    $self->{bench}->say("$row->{name}: $@");

    return (cell => '', reached => 'failed', details => [ $@ ]);
}


# In turn, so that what disturbs the machine disturbs all alike.  The others
# than the main mode get fewer rounds.
sub rounds {
    my ($self, $mode, @runs) = @_;
    my $rounds = $mode eq $MAIN ? $self->{rounds}
               : int(($self->{rounds} + 1) / 2);

    # these are about nginx or about the program, not about the disk
    @runs = grep { !/^(?:return|few|many)$/ } @runs if $mode ne $MAIN;

    for my $round (1 .. $rounds) {
        for my $what (@runs) {
            my $run = $self->{bench}->run($mode, $what);

            push @{$self->{runs}{$mode}{$what}}, $run;
            $self->{bench}->say(sprintf '%s %d/%d %-7s %s', $mode, $round,
                                $rounds, $what, in_words($run));
        }
    }

    return;
}


# ---- figures ----

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}


# of one number of the runs, an event where it is CPU time
sub of_runs {
    my ($self, $mode, $what, $number) = @_;

    return map { value($_, $number) } @{$self->{runs}{$mode}{$what}};
}


sub value {
    my ($run, $number) = @_;

    return $number =~ /^(?:rate|usec)$/ ? $run->{$number}
         : 1e6 * $run->{$number} / $run->{events};
}


sub in_words {
    my ($run) = @_;

    return sprintf '%.0f events/s; µs of CPU an event: front %.1f, Redis'
        . ' %.1f, generator %.1f; %.1f of waiting for a core', $run->{rate},
        map({ value($run, $_) } qw(front redis tool)),
        value($run, 'front_wait') + value($run, 'redis_wait');
}


sub number {
    my ($n) = @_;

    return $n >= 100 ? sprintf '%.0f', $n
         : $n >= 10 ? sprintf '%.1f', $n : sprintf '%.2f', $n;
}


# below one half a ratio is easier to read the other way round
sub ratio {
    my ($n, $goal) = @_;

    return $goal < 0.5 ? '1/' . number(1 / $n) : number($n);
}


sub goal {
    my ($goal) = @_;

    return '' if !defined $goal;
    return "1 ± $goal->[1]" if $goal->[0] eq '±';
    return "$goal->[0] " . ($goal->[1] < 0.5
                            ? '1/' . number(1 / $goal->[1]) =~ s/\.?0+$//r
                            : number($goal->[1]) =~ s/(\.\d*?)0+$/$1/r
                              =~ s/\.$//r);
}


sub reached {
    my ($goal, $value) = @_;

    return ($goal->[0] eq '≥' ? $value >= $goal->[1]
          : $goal->[0] eq '±' ? abs($value - 1) <= $goal->[1]
          : $value <= $goal->[1]) ? 'yes' : 'no';
}


# ---- rows that compare two runs ----

sub compare {
    my ($self, $row) = @_;
    my ($one, $other) = @{$row->{compare}};
    my ($main, %cells, @details);

    for my $mode (@{$self->{modes}}) {
        next if !$self->{runs}{$mode}{$one}
                || !$self->{runs}{$mode}{$other};

        my @one = $self->of_runs($mode, $one, $row->{what});
        my @other = $self->of_runs($mode, $other, $row->{what});
        my @ratios = sort { $a <=> $b } map { $one[$_] / $other[$_] }
                     0 .. $#one;

        $cells{$mode} = ratio(median(@ratios), $row->{goal}[1]);
        $main = median(@ratios) if $mode eq $MAIN || !defined $main;

        push @details, sprintf '%s: %s to %s in %d rounds; %s %s, %s %s%s.',
            $mode, map({ ratio($_, $row->{goal}[1]) } @ratios[0, -1]),
            scalar @ratios, $one, number(median(@one)), $other,
            number(median(@other)),
            $row->{what} eq 'rate' ? ' events/s' : ' µs';
    }

    my $reached = reached($row->{goal}, $main);

    return (cells => \%cells, reached => $reached, details => \@details,
            $reached eq 'no' ? (why => $self->why($one, $other)) : ());
}


# What the two runs spent their time on, and a profile of the first.
sub why {
    my ($self, $one, $other) = @_;
    my $mode = (grep { $self->{runs}{$_}{$one} } $MAIN, @{$self->{modes}})[0];
    my @text;

    for my $what ($one, $other) {
        my @runs = @{$self->{runs}{$mode}{$what}};
        my @busy = map { ($_->{front} + $_->{redis} + $_->{tool})
                         / $_->{seconds} } @runs;

        push @text, sprintf '%s: µs of CPU an event: front %.1f, Redis %.1f,'
            . ' generator %.1f; %.2f cores busy, Redis %.2f of one; %.1f µs'
            . ' of waiting for a core.', $what,
            map({ median($self->of_runs($mode, $what, $_)) }
                qw(front redis tool)),
            median(@busy), median(map { $_->{redis} / $_->{seconds} } @runs),
            median(map { value($_, 'front_wait') + value($_, 'redis_wait') }
                   @runs);
    }

    my $line = $self->profile($mode, $one, $self->{bench}->front($one));
    push @text, "Profile of nginx in $one: $line." if $line ne '';

    return join ' ', @text;
}


# of some processes during one more run, which is not among the measured
sub profile {
    my ($self, $mode, $what, @pids) = @_;

    return $self->{profiles}{"$mode $what @pids"} //= do {
        my $profile = Loyalty::Bench::Profile->new(
            "$self->{bench}{dir}/profile", @pids);

        $self->{bench}->run($mode, $what);
        $profile->stop;
    };
}


# ---- rows of their own kind ----

sub members {
    my ($self, $row) = @_;
    my %seconds = Loyalty::Bench::Members::measure($self->{bench}, $BATCHES);
    my %median = map { $_ => median(@{$seconds{$_}}) } keys %seconds;
    my $ratio = $median{small} / $median{large};

    return (cell => number($ratio), reached => reached($row->{goal}, $ratio),
            details => [ sprintf 'an event takes %.1f µs with 1,000 members,'
                . ' %.1f with 1,000,000; medians of %d batches each.',
                map({ $median{$_} * 1000 } qw(small large)), $BATCHES ]);
}


sub function {
    my ($self, $row) = @_;
    my (%cells, @details, $main);

    for my $mode (@{$self->{modes}}) {
        my @usec = $self->of_runs($mode, 'batch', 'usec');
        my @cpu = $self->of_runs($mode, 'batch', 'redis');

        $cells{$mode} = number(median(@usec));
        $main = median(@usec) if $mode eq $MAIN || !defined $main;

        push @details, sprintf '%s: %.1f to %.1f; all of Redis has %.1f µs'
            . ' of CPU an event.', $mode, (sort { $a <=> $b } @usec)[0, -1],
            median(@cpu);
    }

    my $reached = reached($row->{goal}, $main);
    my $why = $reached eq 'yes' ? ''
            : $self->profile($self->{modes}[0], 'batch',
                             $self->{bench}{redis}{redis}{pid});

    return (cells => \%cells, details => \@details, reached => $reached,
            $why ne '' ? (why => "Profile of Redis: $why.") : ());
}


sub memory {
    my ($self, $row) = @_;
    my $bench = $self->{bench};
    my $redis = $bench->{redis}->redis;

    $bench->reset('none');
    my $before = used($redis);

    $bench->run('none', 'batch');
    my $all = (used($redis) - $before) / $bench->{work}{members};

    my %bytes;
    my $cursor = 0;

    do {
        my $keys;
        ($cursor, $keys) = @{ $redis->call('SCAN', $cursor, 'COUNT', 500) };
        my @size = $redis->pipeline(map { [ 'MEMORY', 'USAGE', $_, 'SAMPLES',
                                            0 ] } @$keys);

        for my $key (@$keys) {
            my ($kind) = $key =~ /^\{[^}]*\}:(m|x|feed|al)\b/;
            $bytes{$kind // 'other'} += shift @size;
        }
    } while ($cursor ne '0');

    my $sum = 0;
    $sum += $_ for values %bytes;

    my @parts = map { sprintf '%s %.0f', $_,
                      $bytes{$_} / $bench->{work}{members} }
                sort { $bytes{$b} <=> $bytes{$a} } keys %bytes;

    return (cell => number($all), reached => reached($row->{goal}, $all),
            details => [ sprintf 'of %d events and %d members; by kind: %s;'
                . ' the rest, %.0f, is the tables of Redis.',
                scalar @{$bench->{work}{events}}, $bench->{work}{members},
                join(', ', @parts),
                $all - $sum / $bench->{work}{members} ],
            $all > $row->{goal}[1]
                ? (why => 'see the kinds') : ());
}


sub used {
    my ($redis) = @_;
    my ($used) = $redis->call('INFO', 'memory') =~ /^used_memory:(\d+)/m;

    return $used;
}


sub latency {
    my ($self, $row) = @_;
    my $events = @{$self->{bench}{work}{events}};
    my (%cells, @details);

    for my $mode (@{$self->{modes}}) {
        my $rate = int(median($self->of_runs($mode, 'single', 'rate')) / 2);
        my $n = $rate * 3 < $events ? $rate * 3 : $events;
        my @runs = map { $self->{bench}->run($mode, 'single', -r => $rate,
                                             -n => $n) } 1 .. 3;
        my %ms = map { my $q = $_;
                       $q => median(map { $_->{"steady_$q"} / 1000 } @runs) }
                 qw(p50 p90 p99 p999);

        $cells{$mode} = sprintf '%s / %s', map { number($_) } @ms{qw(p50 p99)};
        push @details, sprintf '%s: at %d events/s; p90 %s, p99.9 %s ms; the'
            . ' machine was steady for %d %% of them.', $mode, $rate,
            map({ number($_) } @ms{qw(p90 p999)}),
            100 * median(map { $_->{steady} } @runs);
    }

    return (cells => \%cells, details => \@details);
}


# the medians of rounds in which both were measured, for each state of Redis
sub shop {
    my ($self, $row) = @_;
    my $shop = $self->{shop} //= Loyalty::Bench::Shop->new($self->{bench});

    return (cell => '', reached => 'not measured',
            details => [ $shop->{missing} ]) if defined $shop->{missing};

    my %p99 = $shop->measure(@{$row}{qw(backend with)});
    my (@values, @details);

    for my $state (@Loyalty::Bench::Shop::STATES) {
        my ($with, $plain) = @{$p99{$state}}{qw(with plain)};
        my @each = map { $row->{value}->($with->[$_], $plain->[$_]) }
                   0 .. $#$with;

        push @values, median(@each);
        push @details, sprintf 'Redis is %s: p99 %.2f ms with it, %.2f without;'
            . ' %.2f to %.2f in %d rounds at %d requests/s.', $state,
            median(@$with), median(@$plain),
            (sort { $a <=> $b } @each)[0, -1], scalar @each, $shop->{rate};
    }

    push @details, sprintf 'In the median run %d %% of the requests were due'
        . ' while the machine was steady; only they count.',
        100 * $shop->{steady};
    push @details, sprintf 'While Redis was there, %.1f %% of the lookups were'
        . ' answered in time.', 100 * $shop->{found}
        if $row->{with} eq 'known';

    my ($worst) = sort { $b <=> $a } @values;

    return (cell => join(' / ', map { sprintf '%.2f', $_ } @values),
            reached => reached($row->{goal}, $worst), details => \@details);
}


# both are of one close and one draw
sub draw {
    my ($self) = @_;

    return $self->{draw} //= Loyalty::Bench::Draws::measure($self->{bench});
}


sub winners {
    my ($self, $row) = @_;
    my $draw = $self->draw;
    my $seconds = median(@{$draw->{draw}});

    return (cell => number($seconds),
            reached => reached($row->{goal}, $seconds),
            details => [ sprintf '%s to %s in %d draws.',
                map({ number($_) } (sort { $a <=> $b } @{$draw->{draw}})
                    [0, -1]), scalar @{$draw->{draw}} ]);
}


sub closing {
    my ($self, $row) = @_;
    my $draw = $self->draw;
    my $goal = [$row->{goal}[0], $row->{goal}[1] * $draw->{entries} / 1e6];
    my @seconds = sort { $a <=> $b } map { $_->{seconds} } @{$draw->{closes}};

    return (cell => number(median(@seconds)),
            reached => reached($goal, median(@seconds)),
            details => [ sprintf '%s to %s in %d closes of %d entries.',
                map({ number($_) } @seconds[0, -1]), scalar @seconds,
                $draw->{entries} ]);
}


sub closing_p99 {
    my ($self, $row) = @_;
    my $draw = $self->draw;
    my @closes = @{$draw->{closes}};
    my @ratios = sort { $a <=> $b }
                 map { $_->{p99} / $_->{calm_p99} } @closes;
    my %ms = map { my $what = $_;
                   $what => number(median(map { $_->{$what} } @closes)) }
             keys %{$closes[0]};

    return (cell => number(median(@ratios)),
            reached => reached($row->{goal}, median(@ratios)),
            details => [ sprintf('%s to %s in %d closes; %d plays/s; p50 %s,'
                . ' p90 %s and p99 %s ms meanwhile, %s, %s and %s ms before.',
                map({ number($_) } @ratios[0, -1]), scalar @ratios,
                $draw->{rate}, @ms{qw(p50 p90 p99 calm_p50 calm_p90
                                      calm_p99)}) ]);
}


# ---- plays ----

sub instant_win {
    my ($self) = @_;

    return $self->{plays}
        //= Loyalty::Bench::Plays->new($self->{bench});
}


sub plays {
    my ($self, $row) = @_;
    my $plays = $self->instant_win;
    my (%cells, @details, $main);

    for my $mode (@{$self->{modes}}) {
        my $rounds = $mode eq $MAIN ? $self->{rounds}
                   : int(($self->{rounds} + 1) / 2);
        my (@http, @driver);

        $plays->mode($mode);

        for my $round (1 .. $rounds) {
            push @http, $plays->http('lose');
            push @driver, $plays->driver('lose');
            $self->{bench}->say(sprintf '%s %d/%d plays   %s; driver %.0f',
                                $mode, $round, $rounds, in_words($http[-1]),
                                $driver[-1]{rate});
        }

        my @ratios = map { $http[$_]{rate} / $driver[$_]{rate} } 0 .. $#http;

        $cells{$mode} = number(median(@ratios));
        $main = median(@ratios) if $mode eq $MAIN || !defined $main;
        push @details, sprintf '%s: %s to %s in %d rounds; %.0f plays/s, the'
            . ' driver %.0f; p99 %s ms; %.2f calls a play; µs of CPU a play:'
            . ' front %.1f, Redis %.1f, generator %.1f; %.1f of waiting for'
            . ' a core.', $mode,
            map({ number($_) } (sort { $a <=> $b } @ratios)[0, -1]), $rounds,
            median(map { $_->{rate} } @http),
            median(map { $_->{rate} } @driver),
            number(median(map { $_->{p99} } @http)),
            median(map { $_->{calls} } @http),
            map({ my $part = $_; median(map { value($_, $part) } @http) }
                qw(front redis tool)),
            median(map { value($_, 'front_wait') + value($_, 'redis_wait') }
                   @http);
    }

    return (cells => \%cells, details => \@details,
            reached => reached($row->{goal}, $main));
}


sub play_call {
    my ($self, $row) = @_;
    my $plays = $self->instant_win;
    my $runs = $self->{play_calls} //= do {
        my %runs;
        my @kinds = qw(event lose win);

        $plays->mode('none');

        for (1 .. $self->{rounds}) {
            push @{$runs{$_}}, $plays->driver($_)->{usec} for @kinds;
            push @kinds, shift @kinds;
        }

        \%runs;
    };

    my ($one, $other) = map { [ sort { $a <=> $b } @{$runs->{$_}} ] }
                        @{$row->{compare}};
    my $ratio = $one->[0] / $other->[0];

    return (cell => number($ratio), reached => reached($row->{goal}, $ratio),
            details => [ sprintf '%s %.1f µs (to %.1f), %s %.1f (to %.1f) in'
                . ' %d rounds.', $row->{compare}[0], @$one[0, -1],
                $row->{compare}[1], @$other[0, -1], scalar @$one ]);
}


# ---- what all of it was measured on ----

sub about {
    my ($self) = @_;
    my $work = $self->{bench}{work};
    my ($redis) = $self->{bench}{redis}->redis->call('INFO', 'server')
        =~ /^redis_version:(\S+)/m;
    my ($nginx) = `nginx -v 2>&1` =~ m{nginx/([\d.]+)};
    my $text = sprintf 'On %s, which all processes share; Redis %s, nginx %s'
        . ' with %d workers; %s, %d events of %d members in each run. Ratios'
        . ' are medians of %d rounds (of %d with other durabilities).',
        Loyalty::Bench::Machine::describe(), $redis, $nginx,
        $Loyalty::Bench::WORKERS, $work->{source},
        scalar @{$work->{events}}, $work->{members}, $self->{rounds},
        int(($self->{rounds} + 1) / 2);

    my @quiet = map { $_->{redis_wait} / $_->{seconds} }
                map { @{$_->{driver} // []} } values %{$self->{runs}};

    if (@quiet) {
        $text .= sprintf ' While the driver alone ran, Redis waited %.0f %%'
            . ' of the time for a core: a quiet machine has 0.',
            100 * median(@quiet);
    }

    return $text;
}


1;
