package Loyalty::Mayhem;

# Plays of instant wins while workers, masters, nginx and Redis are killed at
# random moments, most unanswered plays being sent again, to any nginx, until
# they are answered, and some being forgotten; and what must hold afterwards.
#
#     my $m = Loyalty::Mayhem->new([$t, $other], {
#         scratch => { price => 3, exhausts => 1,
#                      prizes => { car => { stock => 20, award => 2 }, ... } },
#     }, members => 50, points => 1000000, pool => 10, seed => 7);
#     $m->run(plays => 3000, kills => 12);
#     $m->check;        tests
#     $m->verify;       tests: what loyalty-verify says of each game's proof
#     $m->killed        'master 3 nginx 3 redis 3 worker 3'
#     $m->{again}       how often a request had no reply, or 5xx
#
# Nodes have workers and allow qr/exited on signal 9/; the first one's Redis is
# everybody's, append-only with appendfsync always. Prizes are in the order of
# their names, as in the table; a stock that is not said has no end, and
# exhausts says that all of each stock will be awarded. Each member has so many
# points that none runs out. pool is how many codes are in the pool of a prize
# with codes => 1.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use List::Util qw(shuffle sum0);
use Loyalty::Instant;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $BATCH = 48;
my @KINDS = qw(worker master nginx redis);


sub new {
    my ($class, $nodes, $games, %opt) = @_;
    my $t = $nodes->[0];
    my $self = bless { t => $t, nodes => $nodes, games => $games,
                       names => [sort keys %$games], members => 50,
                       sent => 0, open => {}, result => {}, differ => [],
                       unexpected => {}, killed => {}, queue => [],
                       again => 0, forgotten => {}, %opt }, $class;

    srand($opt{seed} // 1);
    $self->{game}{$_} = Loyalty::Instant->new($t, $_) for @{ $self->{names} };

    $t->event({ id => 'start', member => "m$_", type => 'purchase' })->status
        == 200 or die "no points\n" for 0 .. $self->{members} - 1;

    return $self;
}


sub member { return 'm' . $_[1] % $_[0]{members} }
sub game { return $_[0]{names}[ $_[1] / $_[0]{members} % @{ $_[0]{names} } ] }

sub killed {
    my ($self) = @_;
    return join ' ', map { "$_ $self->{killed}{$_}" }
                     sort keys %{ $self->{killed} };
}


# the keys that are under way, some of them twice at once, some that were
# answered, and new ones

sub _batch {
    my ($self, $plays) = @_;
    my @keys = sort { $a <=> $b } keys %{ $self->{open} };

    splice @keys, $BATCH if @keys > $BATCH;
    push @keys, map { int rand $self->{sent} } 1 .. 4 if $self->{sent};

    while (@keys < $BATCH && $self->{sent} < $plays) {
        $self->{open}{ $self->{sent} } = 1;
        push @keys, $self->{sent}++;
    }

    return (@keys, map { $keys[rand @keys] } 1 .. 3);
}


sub _send {
    my ($self, @keys) = @_;
    my (%of, @r);

    push @{ $of{ int rand @{ $self->{nodes} } } }, $_ for @keys;

    # all at once; where nobody listens, the others are sent all the same
    my @requests = map {
        my $n = $_;
        my $socket = eval { $self->{nodes}[$n]->connect };
        $socket && close $socket;
        $socket ? map { [$n, $_] } @{ $of{$n} } : ();
    } sort keys %of;

    eval {
        @r = $self->_parallel(@requests);
        1;
    } or return;

    $self->_answer($requests[$_][1], $r[$_]) for 0 .. $#r;

    return;
}


sub _parallel {
    my ($self, @requests) = @_;

    return Loyalty::HTTP::exchange(30 * $self->{t}->slow, map {
        my ($n, $key) = @$_;
        my ($method, $uri, $body, %opt)
            = $self->{game}{ $self->game($key) }->post($self->member($key),
                                                       "key $key");
        [$self->{nodes}[$n]->connect,
         Loyalty::HTTP::format_request($method, $uri, $body,
                                       %{ $opt{headers} })];
    } @requests);
}


sub _answer {
    my ($self, $key, $r) = @_;

    if ($r->status != 200) {
        $self->{again}++;
        $self->{unexpected}{$r->status . ' ' . ($r->code // '')}++
            if $r->status && $r->status < 500;

        # some clients are gone, too
        $self->{forgotten}{$key} = delete $self->{open}{$key}
            if $self->{open}{$key} && rand() < 0.1;
        return;
    }

    my $play = $r->json;
    my $known = $self->{result}{$key};
    my $result = join ' ', $play->{play}, $play->{outcome},
                 $play->{code} // '-', unpack('H16', sha256($r->body)),
                 $play->{receipt}{record};

    push @{ $self->{differ} }, "$known: " . $r->body
        if defined $known && $known ne $result;
    $self->{result}{$key} = $result;
    delete $self->{open}{$key};
    delete $self->{forgotten}{$key};

    return;
}


# ---- what is killed ----

sub _victims {
    my ($what, $node) = @_;
    my @workers;

    $node->wait_for(sub { @workers = $node->workers }) or die "no workers\n";

    return $what eq 'worker' ? $workers[rand @workers]
         : $what eq 'master' ? $node->pid
         :                     ($node->pid, @workers);
}


# a process of its own does it, somewhen while plays are under way

sub _kill_later {
    my ($self, $what, $node) = @_;
    my @victims = $what eq 'redis' ? $self->{t}{redis}{pid}
                                   : _victims($what, $node);
    my $pause = rand 0.04;
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        sleep $pause;
        kill 'KILL', @victims;
        POSIX::_exit(0);
    }

    return $pid;
}


sub _mend {
    my ($self, $what, $node) = @_;

    if ($what eq 'redis') {
        $self->{t}->redis_kill;
        $self->{t}->redis_start;
        return;
    }

    return if $what eq 'worker';

    my $master = $node->pid;

    waitpid $master, 0;

    # workers without a master go on; one may have come at the last moment
    if ($what eq 'master') {
        $self->_send($self->_batch($self->{plays})) for 1 .. 3;
    }

    $node->wait_for(sub {
        my @left = Loyalty::Test::_group($master);
        kill 'KILL', @left;
        return !@left;
    }) or die "nginx does not go\n";

    unlink $node->dir . '/nginx.pid';
    $node->unguard($master);
    $node->start;

    return;
}


sub _kill {
    my ($self) = @_;

    @{ $self->{queue} } = shuffle @KINDS if !@{ $self->{queue} };

    my $what = shift @{ $self->{queue} };
    my $node = $self->{nodes}[rand @{ $self->{nodes} }];
    my $killer = $self->_kill_later($what, $node);

    $self->_send($self->_batch($self->{plays}));
    waitpid $killer, 0;
    $self->_mend($what, $node);
    $self->{killed}{$what}++;

    return;
}


sub run {
    my ($self, %opt) = @_;
    my $end = time + ($opt{seconds} // 600);
    my @at = sort { $a <=> $b } map { rand $opt{plays} } 1 .. $opt{kills};

    $self->{plays} = $opt{plays};

    while ($self->{sent} < $opt{plays} || %{ $self->{open} } || @at) {
        die "plays are not answered\n" if time > $end;

        if (@at && $self->{sent} >= $at[0]) {
            shift @at;
            $self->_kill;
        } else {
            $self->_send($self->_batch($opt{plays}));
        }
    }

    return;
}


# ---- and what must hold ----

sub check {
    my ($self) = @_;
    my ($n, $keys) = ($self->{sent}, scalar keys %{ $self->{result} });
    my $points = $self->{members} * $self->{points};

    ok($self->{t}->wait_for(sub {
        !@{ $self->{t}->redis->call('KEYS', '*}:o:*') }
    }, 30), 'what was cut off between two steps is completed');
    is_deeply($self->{unexpected}, {}, 'no play was refused');
    is_deeply($self->{differ}, [], 'each key had one result');
    is($keys + keys %{ $self->{forgotten} }, $n,
       "$n plays, of which $keys were answered and the others forgotten");
    cmp_ok($self->{again}, '>=', 1, "$self->{again} requests were cut off");

    $points += $self->_check_game($_) for @{ $self->{names} };
    $self->_check_codes;

    is(sum0(map { $self->_balance("m$_") } 0 .. $self->{members} - 1),
       $points, 'each play was charged once, and each win paid');

    Loyalty::Instant::fsck($self->{t});

    return;
}


# once the worker that is asked has found Redis again

sub _sure {
    my ($t, $ask) = @_;
    my $answer;

    $t->wait_for(sub { defined($answer = $ask->()) }) or die "no answer\n";

    return $answer;
}


sub _balance {
    my ($self, $member) = @_;
    my $t = $self->{t};

    return _sure($t, sub { my $r = $t->me($member);
                           $r->status == 200 ? $r->json : undef;
                         })->{wallets}{points}{balance};
}


# one game: the number of points that its plays have brought

sub _check_game {
    my ($self, $name) = @_;
    my ($g, $game) = ($self->{game}{$name}, $self->{games}{$name});
    my @prizes = sort keys %{ $game->{prizes} };
    my @keys = grep { $self->game($_) eq $name } keys %{ $self->{result} };
    my $records = $g->sound(stock => [map { $game->{prizes}{$_}{stock} }
                                      @prizes]);
    my %log = map { unpack('H*', $_->{id}) => $_ } @$records;

    my $forgotten = grep { $self->game($_) eq $name }
                    keys %{ $self->{forgotten} };

    cmp_ok(scalar @$records, '>=', scalar @keys,
           "$name: a record in the log for each key that was answered");
    cmp_ok(scalar @$records, '<=', @keys + $forgotten,
           "$name: no more than keys");
    ok(_sure($g->{t}, sub { $g->file('log') }) eq $g->log,
       "$name: which is published");

    my @lost = grep {
        my ($id, $outcome, undef, undef, $record)
            = split / /, $self->{result}{$_};
        my $r = $log{$id};

        !$r || unpack('H*', $r->{bytes}) ne $record
            || ($r->{status} == 1) != ($outcome eq 'win');
    } @keys;

    is_deeply(\@lost, [], "$name: what was acknowledged is in it");

    my $counts = $g->counts;
    my $points = -@$records * $game->{price};

    for my $i (0 .. $#prizes) {
        my $prize = $game->{prizes}{$prizes[$i]};
        my $wins = $counts->{tier}{$i} // 0;

        is($wins, $prize->{stock}, "$name: every $prizes[$i] was awarded")
            if $game->{exhausts} && $prize->{stock};
        cmp_ok($wins, '<=', $prize->{stock} // $wins,
               "$name: no $prizes[$i] beyond its stock");
        is($g->taken($prizes[$i])->[0], $wins,
           "$name: $wins as the stock says");
        $points += $wins * ($prize->{award} // 0);
        $self->{codes_won} += $wins if $prize->{codes};
    }

    return $points;
}


sub _check_codes {
    my ($self) = @_;
    my %times;

    return if !$self->{pool};

    $times{$_}++ for grep { $_ ne '-' } map { (split / /)[2] }
                     values %{ $self->{result} };

    cmp_ok(scalar keys %times, '<=', $self->{codes_won},
           'no more codes than such wins');
    is_deeply([grep { $times{$_} > 1 } sort keys %times], [],
              'none was handed out twice');
    is($self->{t}->redis->call('LLEN', '{shop:c:codes}:l'),
       $self->{pool} - $self->{codes_won}, 'the rest is in the pool');

    return;
}


# Every epoch that has plays is over and its secret published, so that the
# whole log is recomputed: a minute at most.

sub verify {
    my ($self) = @_;

    for my $name (@{ $self->{names} }) {
        my $g = $self->{game}{$name};
        my $last = ($g->records)[-1]{e};

        ok($self->{t}->wait_for(sub { ($g->file('reveal') // '')
                                      =~ /^c 1 $last /m }, 90),
           "$name: the secret of epoch $last is published");

        my ($code, $out) = $g->verify;

        is(join(' ', $out =~ /^(V\d\d) FAIL/mg), '', "$name: nothing fails")
            or diag $out;
        cmp_ok($code, '!=', 1, "$name: nor all of it");
        like($out, qr/^V14 PASS/m, "$name: all plays are recomputed")
            or diag $out;
    }

    return;
}


1;
