package Plays;

# Plays an instant win as nginx does, without nginx: computes what a play
# draws from by the protocol alone, calls play_H, and tries again where the
# library asks for it.
#
#     my $game = Plays->new(Engine->new(clock => $ms), name => 'wheel',
#                           open => $ms, close => $ms, mode => 'odds',
#                           prizes => [[car => 1, 1, 100], ...]);
#     my $r = $game->play('member', $t, 'key');
#     $r->{code}, or as Engine parses a reply, with $r->{play} by name and
#     $r->{asked}: what had to be tried again, in order
#     $game->log      the records, one after another
#     $game->left     what is left of each row
#     $game->moments  [unit, row, ms] in order; of a game with moments
#
# With LOYALTY_SPLIT in the environment a play is made in its three steps.
#
# new() takes too: blanks, length, version, wins, cost, limits, eligible,
# beacon (0: none), awards => { name => [kind, \hash, amount] },
# pools => { name => key }.  play() takes off (of Redis's clock), degraded,
# bar, round, periods, fp, e, us (u for idx 0, all of their ctr), and reckless: do
# not try again.

use strict;
use warnings;

use Digest::SHA qw(sha256);

use Loyalty::Fairness;

my %MODE = (odds => 1, deck => 2, moments => 3);
my @PLAY = qw(slot seq tier status version code left);
my $QUICKNET = pack 'H*', '52db9ba70e0cc0f6eaf7803dd07447a1'
                        . 'f5477735fd3f661792ba94600c84e971';

our $MASTER = H('test master secret');
our $SALT = substr H('test campaign salt'), 0, 16;


sub new {
    my ($class, $engine, %arg) = @_;
    my $self = bless {
        engine => $engine, program => 'shop', length => 60_000, version => 1,
        prev => $Z, generation => 1, wins => 0, cost => [0, \'', 0],
        limits => [], eligible => [], beacon => 1, seq => 0, %arg,
    }, $class;

    $self->{cid} = cid(@$self{qw(program name open)});
    $self->{kp} = kp($MASTER, $self->{cid}, $SALT);
    $self->{epochs} = int(($self->{close} - $self->{open} + $self->{length}
                           - 1) / $self->{length});
    $self->{hash} = substr H("instant_win $self->{name} "
                             . unpack('H*', $self->{cid})), 0, 4;
    $self->{tag} = "{shop:g:$self->{name}:" . unpack('H*', $self->{cid})
                   . '}';
    $self->_table;
    $self->_chain;

    $self->{mh} = H($self->manifest);

    if (!$arg{old}) {
        $self->state(0);
        $engine->raw('DEL', "$self->{tag}:l:0");
    }

    return $self;
}


# another version of this game, which takes over from here

sub version {
    my ($self, %arg) = @_;

    return ref($self)->new($self->{engine}, %$self, old => 1,
                           version => $self->{version} + 1,
                           prev => $self->{mh}, %arg);
}


sub gcd { my ($a, $b) = @_; return $b ? gcd($b, $a % $b) : $a }


sub _table {
    my ($self) = @_;
    my @prizes = @{ $self->{prizes} };
    my $odds = $self->{mode} eq 'odds';
    my $lcm = 1;

    push @prizes, ['', $self->{blanks}] if $self->{mode} eq 'deck';

    $lcm = $lcm / gcd($lcm, $_->[3]) * $_->[3] for $odds ? @prizes : ();

    my $bytes = T('prizes') . u32(scalar @prizes);

    $self->{rows} = [];

    for (@prizes) {
        my ($name, $stock, $num, $den) = @$_;

        $bytes .= lp($name)
                  . ($stock < 0 ? "\xff" x 8 : u64($stock))
                  . u64($odds ? $num : 0) . u64($odds ? $den : 0);

        push @{ $self->{rows} },
             \($name eq '' ? "\0" x 4 : substr(H($name), 0, 4)), $stock,
             $odds ? $lcm / $den * $num : 0, \($self->{pools}{$name} // ''),
             $self->{awards}{$name} // [];
    }

    $self->{lcm} = $odds ? $lcm : 0;
    $self->{table} = $bytes;

    return;
}


sub _chain {
    my ($self) = @_;
    my $c = HMAC($MASTER, T('chain-tip') . $self->{cid}
                          . u32($self->{version}) . u32($self->{epochs}));

    for (my $i = $self->{epochs}; $i >= 0; $i--) {
        $self->{c}[$i] = $c;
        $c = H(T('chain') . $self->{cid} . u32($i) . $c);
    }

    return;
}


sub manifest {
    my ($self) = @_;

    return T('manifest') . $self->{cid} . u32($self->{version})
           . $self->{prev} . pack('CC', 2, $MODE{$self->{mode}})
           . u64($self->{open}) . u64($self->{close}) . u32($self->{length})
           . u32($self->{epochs}) . H('rules bytes') . H('terms bytes')
           . H($self->{table}) . ($self->{beacon} ? $QUICKNET : $Z) . u64(0)
           . $Z . H(T('pseudonym-commit') . $self->{cid} . $self->{kp})
           . $self->{c}[0] . u32(0) . u32(0) . "\0";
}


sub round {
    my ($self, $t) = @_;
    return $self->{beacon} ? round_at($t - 6000) : 0;
}


sub randomness {
    my ($self, $round) = @_;
    return $round ? H('test beacon' . u64($round)) : $Z;
}


sub epoch { return int(($_[1] - $_[0]{open}) / $_[0]{length}) + 1 }


sub epoch_key {
    my ($self, $e) = @_;

    return $self->{keys}{$e} //= do {
        my $round = $self->round($self->{open} + ($e - 1) * $self->{length});

        HMAC($self->{c}[$e], T('epoch-key') . $self->{mh} . u32($e)
             . ($self->{beacon} ? $QUICKNET : $Z) . u64($round)
             . $self->randomness($round));
    };
}


sub u {
    my ($self, $e, $round, $person, $idx, $ctr) = @_;

    return HMAC($self->epoch_key($e), T('play') . $self->{mh} . u32($e)
                . u64($round) . $self->randomness($round) . $person
                . u32($idx) . u32($ctr));
}


sub blob {
    my ($self) = @_;

    return Engine::blob([
        4, \$self->{hash}, \(T('playrec') . $self->{cid}), $self->{version},
        $MODE{$self->{mode}}, @$self{qw(open close length wins lcm rows cost
                                        limits eligible)},
    ]);
}


# a record of the log by name; what it has not is -1

sub parse {
    my ($record) = @_;
    my %p;

    length $record == 189 or die "no record of a play\n";
    @p{qw(tag cid seq t e round person id idx ctr mode n r tier serial status
          u)} = unpack 'a24 a16 Q> Q> N Q> a32 a16 N N C Q> Q> N Q> N a32',
                       $record;
    $p{tag} eq T('playrec') or die "no record of a play\n";
    $p{tier} == 0xffffffff and $p{tier} = -1;
    $p{$_} == 18446744073709551615 and $p{$_} = -1 for qw(r serial);
    $p{record} = $record;

    return \%p;
}


# the game's state in Redis as it is when the campaign is registered

sub state {
    my ($self, $paused, %set) = @_;

    $self->{engine}->raw('SET', "$self->{tag}:s",
        Engine::values_of(1, $set{records} // 0, $paused,
                          $self->{generation}, $set{over} // 0, 0, \''));

    return;
}


sub values {
    my ($self) = @_;
    my $raw = $self->{engine}->raw('GET', "$self->{tag}:s");
    my @values;

    push @values, Engine::decode(\$raw) while length $raw;

    return \@values;
}


sub log {
    my ($self) = @_;
    my $n = int(($self->values->[1] + 4095) / 4096);

    return join '', map { $self->{engine}->raw('GET', "$self->{tag}:l:$_")
                          // '' } 0 .. $n;
}


sub left {
    my ($self) = @_;
    my @v = @{ $self->values };
    my @names = unpack '(a4)*', $v[6];
    my %count = map { $names[$_] => $v[7 + $_] } 0 .. $#names;
    my @rows = @{ $self->{rows} };

    return [map { my ($name, $stock) = @rows[5 * $_, 5 * $_ + 1];
                  $stock < 0 ? undef : $stock - ($count{$$name} // 0) }
            0 .. @rows / 5 - 1];
}


# all units: the epoch, then the offset in it

sub moments {
    my ($self) = @_;

    return $self->{moments} //= do {
        my (@at, @row);
        my $k = 0;

        for my $row (0 .. $#{ $self->{prizes} }) {
            push @row, ($row) x $self->{prizes}[$row][1];
        }

        for my $e (1 .. $self->{epochs}) {
            my $start = $self->{open} + ($e - 1) * $self->{length};
            my $end = $start + $self->{length};

            $end = $self->{close} if $end > $self->{close};

            for my $k (grep { !defined $at[$_] } 0 .. $#row) {
                my $key = $self->epoch_key($e);

                next if (pick($key, 'moment', $k,
                              $self->{epochs} - $e + 1))[0];

                $at[$k] = $start
                          + (pick($key, 'offset', $k, $end - $start))[0];
            }
        }

        [map { [$_, $row[$_], $at[$_]] }
         sort { $at[$a] <=> $at[$b] || $a <=> $b } 0 .. $#row];
    };
}


# what a play draws from: base, width, draws

sub draws {
    my ($self, $e, $round, $person, $base, $many, $width) = @_;
    my $us = '';

    if ($self->{mode} eq 'moments') {
        my @due = grep { $_->[2] <= $self->{t} } @{ $self->moments };
        my @these = splice @{ [@due] }, $base;

        return ($base, scalar @due,
                [map { @$_[0, 1] } @these > 3 ? @these[0 .. 2] : @these]);
    }

    for my $idx ($base .. $base + $many - 1) {
        $us .= $self->u($e, $round, $person, $idx, $_) for 0 .. $width - 1;
    }

    return ($base, $width, \$us);
}


sub play {
    my ($self, $member, $t, $key, %opt) = @_;
    my $engine = $self->{engine};
    my $person = person($self->{kp}, $self->{cid}, $member);
    my %p = (
        member => $member, person => $person,
        id => substr(HMAC($self->{kp}, T('play-id') . $self->{cid} . $person
                                       . lp($key)), 0, 16),
        base => $opt{base} // 0, many => $opt{many} // 2, width => 1,
        seq => $self->{seq}, %opt,
    );
    my @asked;

    $engine->clock($t + ($opt{off} // 0));

    for (1 .. 4) {
        $self->{t} = $engine->{now} = $p{t} = $t;
        $p{e} = $opt{e} // $self->epoch($t);
        $p{round} = $opt{round} // $self->round($t);
        $p{periods} = $opt{periods}
                      // [map { int($t / 86_400_000 / $_) } 1, 7, 30];

        my $reply = $ENV{LOYALTY_SPLIT} ? $self->_in_steps(\%p, \@asked)
                                        : $self->_at_once(\%p);

        return { code => $reply, asked => [] }
            if $reply =~ /^R/ && $opt{reckless};

        if ($reply !~ /^R(.)([0-9]*)/s) {
            my $record = $reply =~ /^E/ ? '' : substr $reply, -189, 189, '';
            my $r = Engine::parse($reply);

            return { %$r, asked => \@asked } if defined $r->{code};

            my ($play) = grep { $_->[0] == 14 } @{ $r->{entries} };
            my %play = %{ parse($record) };
            my %told;

            @told{@PLAY} = @$play[1 .. 7];
            $told{$_} == $play{$_} or die "the log has another $_\n"
                for qw(seq tier status);

            %play = (%play, %told);
            $self->{seq} = $play{seq};

            return { %$r, play => \%play, asked => \@asked };
        }

        push @asked, "$1$2";

        $t = $2 if $1 eq 't';
        _ask(\%p, $1, $2);
    }

    return { code => 'busy', asked => \@asked };
}


sub _ask {
    my ($p, $what, $n) = @_;

    $p->{base} = $n, $p->{width} = 1 if $what eq 'i';
    $p->{base} = $n if $what eq 'a';
    $p->{width}++ if $what eq 'c';
    $p->{seq} = $n if $what eq 'l';

    return;
}


sub _chunks {
    my ($self, $p) = @_;
    my $n = int($p->{seq} / 4096);

    return ("$self->{tag}:s", map { "$self->{tag}:l:$_" } $n, $n + 1);
}


sub _u {
    my ($self, $p) = @_;

    return ($p->{base}, length($p->{us}) / 32, \$p->{us}) if $p->{us};
    return $self->draws(@$p{qw(e round person base many width)});
}


sub _at_once {
    my ($self, $p) = @_;
    my $engine = $self->{engine};

    return $engine->call('play', [
        $engine->keys_of($p->{member}), $self->_chunks($p),
        $self->gone($p->{member}), @{ $p->{keys} // [] },
    ], [
        $p->{t}, \("\x11\x01" . $p->{id}),
        $engine->rest($p->{t}, $p->{fp} // ''), \$p->{member},
        $engine->constants, $self->blob, $self->{generation},
        int($p->{seq} / 4096), \($p->{bar} // ''), $p->{e}, $p->{round},
        $p->{degraded} // 0, $p->{periods}, \$p->{person}, $self->_u($p),
        $p->{targets},
    ]);
}


# the same in three steps; each is one of the methods below, for tests of
# what is cut off

sub reserve_step {
    my ($self, $p) = @_;
    my $engine = $self->{engine};

    return $engine->call('play_reserve',
        [$engine->keys_of($p->{member}), $self->open_ones($p->{member}),
         $self->gone($p->{member})],
        [$p->{t}, \("\x11\x01" . $p->{id}),
         $engine->rest($p->{t}, $p->{fp} // ''), \$p->{member},
         $engine->constants, $self->blob, \($p->{bar} // ''), $p->{e},
         $p->{round}, $p->{degraded} // 0, $p->{periods}, \$p->{person}]);
}


# in the member's slot: the list of reservations that are open, and the set of
# those who were erased

sub open_ones { return $_[0]->_of_member('o', $_[1]) }
sub gone { return $_[0]->_of_member('gone', $_[1]) }

sub _of_member {
    my ($self, $what, $member) = @_;
    my ($tag) = ($self->{engine}->keys_of($member))[0] =~ /^(\{.*?\})/;

    return "$tag:$what:$self->{name}:" . unpack 'H*', $self->{cid};
}


sub reservation {
    my ($bytes) = @_;
    my %r;

    @r{qw(needle rest t e round degraded idx wins plays)}
        = map { Engine::decode(\$bytes) } 1 .. 9;

    return \%r;
}


sub draw_step {
    my ($self, $p, $r) = @_;

    return $self->{engine}->call('play_draw',
        [$self->_chunks($p), "$self->{tag}:d", @{ $p->{keys} // [] }],
        [$r->{t}, \substr($r->{needle}, 2), $self->blob,
         $self->{generation}, int($p->{seq} / 4096), \($p->{busy} // ''),
         $r->{e}, $r->{round}, $r->{degraded}, \$p->{person}, $r->{idx},
         $r->{wins}, $self->_u($p)]);
}


sub settle_step {
    my ($self, $p, $r, $record, $code) = @_;
    my $engine = $self->{engine};

    return $engine->call('play_settle',
        [$engine->keys_of($p->{member}), $self->open_ones($p->{member}),
         @{ $p->{target_keys} // [] }],
        [$engine->{now}, \$r->{needle}, \$r->{rest}, \$p->{member},
         $engine->constants, $self->blob, $r->{t}, \($record // ''),
         \($code // ''), $p->{periods}, $p->{targets}]);
}


sub _in_steps {
    my ($self, $p, $asked) = @_;
    my $reply = $self->reserve_step($p);

    if ($reply =~ /^K/) {
        my $seq = unpack 'Q>', substr $reply, 1, 8;
        my $log = $self->{engine}->raw('GETRANGE',
                      "$self->{tag}:l:" . int($seq / 4096),
                      $seq % 4096 * 189, $seq % 4096 * 189 + 188);

        return substr($reply, 9) . $log;
    }

    return $reply if $reply !~ /^N/;

    my $r = reservation(substr $reply, 1);
    my $drawn;

    $p->{base} = $r->{idx} if $self->{mode} ne 'moments' && !$p->{us};

    for (1 .. 5) {
        $drawn = $self->draw_step($p, $r);

        last if $drawn !~ /^R([^t])([0-9]*)/s || $p->{reckless};

        push @$asked, "$1$2";
        _ask($p, $1, $2);
    }

    my $done = $drawn =~ /^P/
        ? $self->settle_step($p, $r, substr($drawn, 1, 189),
                             substr($drawn, 190))
        : $self->settle_step($p, $r);

    return $done =~ /^N/ ? $done . substr($drawn, 1, 189)
         : $done =~ /^C/ ? $drawn : $done;
}


1;
