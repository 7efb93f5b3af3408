package Loyalty::Mayhem;

# Plays of an instant win while workers, nginx and Redis are killed at random
# moments, each unanswered play being sent again until it is answered; and
# what must hold afterwards.
#
#     my $m = Loyalty::Mayhem->new($t, 'scratch', members => 50, price => 3,
#                                  prize => 'car', stock => 20, award => 2,
#                                  points => 1000000, seed => 7);
#     $m->run(plays => 3000, kills => 12);
#     $m->check;        tests
#
# $t has workers, appendonly with appendfsync always, and allows
# qr/exited on signal 9/; each member has so many points that none runs out.

use strict;
use warnings;

use Loyalty::Instant;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $BATCH = 48;


sub new {
    my ($class, $t, $name, %opt) = @_;
    my $self = bless { t => $t, members => 50, sent => 0, open => {},
                       result => {}, differ => [], unexpected => {},
                       killed => {}, %opt }, $class;

    srand($opt{seed} // 1);
    $self->{game} = Loyalty::Instant->new($t, $name);

    $t->event({ id => 'start', member => "m$_", type => 'purchase' })->status
        == 200 or die "no points\n" for 0 .. $self->{members} - 1;

    return $self;
}


sub member { return 'm' . $_[1] % $_[0]{members} }


# the keys that are under way, some that were answered, and new ones

sub _batch {
    my ($self, $plays) = @_;
    my @keys = sort { $a <=> $b } keys %{ $self->{open} };

    splice @keys, $BATCH if @keys > $BATCH;
    push @keys, map { int rand $self->{sent} } 1 .. 4 if $self->{sent};

    while (@keys < $BATCH && $self->{sent} < $plays) {
        $self->{open}{ $self->{sent} } = 1;
        push @keys, $self->{sent}++;
    }

    return @keys;
}


sub _send {
    my ($self, @keys) = @_;
    my @r = eval {
        $self->{t}->parallel(map { [$self->{game}->post($self->member($_),
                                                        "key $_")] } @keys);
    };

    for my $i (0 .. $#r) {
        my ($r, $key) = ($r[$i], $keys[$i]);

        if ($r->status != 200) {
            $self->{unexpected}{$r->status . ' ' . ($r->code // '')}++
                if $r->status && $r->status < 500;
            next;
        }

        my $play = $r->json;
        my $known = $self->{result}{$key};
        my $result = join ' ', $play->{play}, $play->{outcome},
                     $play->{balances}{points}, $play->{receipt}{record};

        push @{ $self->{differ} }, $key
            if defined $known && $known ne $result;
        $self->{result}{$key} = $result;
        delete $self->{open}{$key};
    }

    return;
}


sub _kill_later {
    my ($self, $what) = @_;
    my @victims = $what eq 'worker' ? ($self->{t}->workers)[0]
                : $what eq 'nginx' ? ($self->{t}->pid, $self->{t}->workers)
                : $self->{t}{redis}{pid};
    my $pause = rand 0.04;
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        sleep $pause;
        kill 'KILL', @victims;
        POSIX::_exit(0);
    }

    $self->{killed}{$what}++;

    return ($pid, @victims);
}


sub _mend {
    my ($self, $what) = @_;
    my $t = $self->{t};

    if ($what eq 'redis') {
        $t->redis_kill;
        $t->redis_start;

    } elsif ($what eq 'nginx') {
        my $master = $t->pid;

        waitpid $master, 0;
        $t->wait_for(sub { !defined eval { $t->connect } })
            or die "nginx does not go\n";
        unlink $t->dir . '/nginx.pid';
        $t->unguard($master);
        $t->start;
    }

    return;
}


sub run {
    my ($self, %opt) = @_;
    my @what = qw(worker redis nginx);
    my $every = $opt{kills} ? $opt{plays} / $opt{kills} : 0;
    my $next = $every / 2;
    my $end = time + ($opt{seconds} // 600);

    while ($self->{sent} < $opt{plays} || %{ $self->{open} }) {
        die "plays are not answered\n" if time > $end;

        my @keys = $self->_batch($opt{plays});

        if (!$every || $self->{sent} < $next) {
            $self->_send(@keys);
            next;
        }

        my $what = $what[$self->{kills}++ % @what];
        my ($killer) = $self->_kill_later($what);

        $self->_send(@keys);
        waitpid $killer, 0;
        $self->_mend($what);
        $next += $every;
    }

    return;
}


sub check {
    my ($self) = @_;
    my $g = $self->{game};
    my $n = $self->{sent};

    is_deeply($self->{unexpected}, {}, 'no play was refused');
    is_deeply($self->{differ}, [], 'each key had one result');
    is(scalar keys %{ $self->{result} }, $n, "$n plays were answered");

    my $records = $g->sound(stock => [$self->{stock}, undef]);
    my %log = map { unpack('H*', $_->{id}) => $_ } @$records;

    is(scalar @$records, $n, 'a record in the log for each key');

    my @lost = grep {
        my ($id, $outcome, undef, $record) = split / /, $self->{result}{$_};
        my $r = $log{$id};

        !$r || unpack('H*', $r->{bytes}) ne $record
            || ($r->{status} == 1) != ($outcome eq 'win');
    } keys %{ $self->{result} };

    is_deeply(\@lost, [], 'what was acknowledged is in it');

    my $wins = $g->counts->{tier}{0} // 0;

    is($wins, $self->{stock}, 'all prizes were awarded')
        if $self->{exhausts};
    cmp_ok($wins, '<=', $self->{stock}, 'no prize beyond its stock');
    is($g->taken($self->{prize})->[0], $wins, 'as the stock says');

    my $sum = 0;

    $sum += $self->{t}->me("m$_")->json->{wallets}{points}{balance}
        for 0 .. $self->{members} - 1;

    is($sum, $self->{members} * $self->{points} - $n * $self->{price}
             + $wins * $self->{award}, 'each play was charged once');

    Loyalty::Instant::fsck($self->{t});

    return;
}


1;
