package Wheel;

# Makes the files of an instant win, by odds, deck or moments, and plays it:
# by the protocol alone.

use strict;
use warnings;

use List::Util qw(first sum0);

use Proof;
use Raffle;


my %mode = (odds => 1, deck => 2, moments => 3);


# What a caller says, all but mode, prizes and close with a value of its own:
#
#     program game open flags rules length
#     prizes       [[name, stock or undef, odds_num, odds_den], ...]
#     blanks       of a deck
#     limits       ['3 per day', ...]
#     wins         wins_per_member
#     zone         of the program
#     plays        [{ member, t, key, degraded }, ...]  degraded: rounds back
#     beacon       { chain, signature }, or nothing
#     versions     [{ t, and what is changed }]
#     until        what is published by then, ms, where it is not over
#     authority    who stamps, or nobody
#     hook         { play, record, head, c, signature, files, ... }

sub new {
    my ($class, %o) = @_;

    my $self = bless {
        program => 'shop', game => 'scratch', flags => 0, rules => 'rules',
        open => 1736266200000, length => 60000, blanks => 0, limits => [],
        zone => 'UTC', salt => substr(H('test campaign salt'), 0, 16),
        master => H('test master secret'), plays => [], versions => [],
        hook => {}, stamped => {}, %o,
    }, $class;

    $self->{key} = sign_key($self->{master}, $self->{program});
    $self->{files} = { vkey => vkey($self->{key}) };
    $self->{cid} = substr H(T('campaign') . lp($self->{program})
                            . lp($self->{game}) . u64($self->{open})), 0, 16;
    $self->{K_p} = HMAC($self->{master}, T('pseudonym-key') . $self->{cid}
                                         . $self->{salt});
    $self->{kp_commit} = H(T('pseudonym-commit') . $self->{cid}
                           . $self->{K_p});
    $self->{chain} = $self->{beacon} ? pack('H*', $self->{beacon}{chain}) : Z;

    if ($self->{until}) {
        $self->{plays} = [grep { $_->{t} < $self->{until} }
                          @{ $self->{plays} }];
    }

    $self->manifests;
    $self->play;
    $self->heads;
    $self->publish;

    return $self;
}


sub hook { return Raffle::hook(@_) }
sub person { return Raffle::person(@_) }
sub token { return Raffle::token(@_) }
sub write { return Raffle::write(@_) }


sub lcm {
    my ($n, @rest) = @_;

    for my $m (@rest) {
        my ($a, $b) = ($n, $m);
        ($a, $b) = ($b, $a % $b) while $b;
        $n = $n / $a * $m;
    }

    return $n;
}


sub terms {
    my ($self) = @_;

    return $self->{terms} if defined $self->{terms};

    return lines("timezone $self->{zone};", "instant_win $self->{game} {",
                 map({ "limit $_;" } @{ $self->{limits} }),
                 $self->{wins} ? "wins_per_member $self->{wins};" : (),
                 map({ ("prize $_->[0] {", 'stock ' . ($_->[1] // 0) . ';',
                        '}') } @{ $self->{prizes} }), '}');
}


sub manifests {
    my ($self) = @_;

    my $mh = Z;

    for my $change ({}, @{ $self->{versions} }) {
        my $n = ++$self->{number};

        $self->{$_} = $change->{$_} for keys %$change;

        my @rows = @{ $self->{prizes} };
        push @rows, ['', $self->{blanks}] if $self->{mode} eq 'deck';

        my $prizes = Raffle::prizes(\@rows);
        my $terms = $self->terms;
        my $span = $self->{close} - $self->{open};
        my $epochs = int(($span + $self->{length} - 1) / $self->{length});

        my @c;
        $c[$epochs] = HMAC($self->{master}, T('chain-tip') . $self->{cid}
                           . u32($n) . u32($epochs));

        for my $e (reverse 1 .. $epochs) {
            $c[$e - 1] = H(T('chain') . $self->{cid} . u32($e) . $c[$e]);
        }

        my $manifest = T('manifest') . $self->{cid} . u32($n) . $mh
            . chr(2) . chr($mode{$self->{mode}}) . u64($self->{open})
            . u64($self->{close}) . u32($self->{length}) . u32($epochs)
            . ($self->{rules} eq '' ? Z : H($self->{rules})) . H($terms)
            . H($prizes) . $self->{chain} . u64(0) . Z . $self->{kp_commit}
            . $c[0] . u32(0) . u32(0) . chr($self->{flags});

        my $note = note($self->{key}, 'manifest', $manifest);
        my $t = ($change->{t} // $self->{open} - 3600000)
                + ($self->{stamped}{manifest} // 0);

        $mh = $self->{mh} = H($manifest);

        $self->{files}{manifest} .= $note;
        $self->{files}{"terms-$n"} = $terms;
        $self->{files}{"prizes-$n"} = $prizes;
        $self->{files}{"rules-$n"} = $self->{rules} if $self->{rules} ne '';

        $self->token('manifest', $n, $note, $t);

        push @{ $self->{manifest_notes} }, $note;
        push @{ $self->{version} }, {
            number => $n, mh => $mh, manifest => $manifest, c => \@c,
            rows => \@rows, epochs => $epochs, close => $self->{close},
            wins => $self->{wins} // 0, flags => $self->{flags},
            from => $n == 1 ? 1
                  : $self->epoch(1000 * int($t / 1000)) + 2,
        };
    }

    return;
}


sub epoch {
    my ($self, $t) = @_;

    return int(($t - $self->{open}) / $self->{length}) + 1;
}


sub governs {
    my ($self, $e) = @_;

    return first { $_->{from} <= $e } reverse @{ $self->{version} };
}


sub beacon {
    my ($self, $round) = @_;

    return $self->{beacon} ? Raffle::beacon($self, $round) : Z;
}


sub rounds_at {
    my ($self, $t) = @_;

    return $self->{beacon} ? round_at($t - 6000) : 0;
}


sub c {
    my ($self, $v, $e) = @_;

    my $c = $self->hook(c => $v->{c}[$e], $e, $v->{number});

    $self->{revealed}{"$v->{number} $e"} = unpack 'H*', $c;

    return $c;
}


sub K {
    my ($self, $e) = @_;

    my $v = $self->governs($e);

    return $self->{K}{$e} //= do {
        my $round = $self->rounds_at($self->{open}
                                     + ($e - 1) * $self->{length});

        HMAC($self->c($v, $e), T('epoch-key') . $v->{mh} . u32($e)
             . $self->{chain} . u64($round) . $self->beacon($round));
    };
}


sub u {
    my ($self, $p, $ctr) = @_;

    return HMAC($self->K($p->{e}), T('play') . $self->governs($p->{e})->{mh}
                . u32($p->{e}) . u64($p->{round}) . $self->beacon($p->{round})
                . $p->{person} . u32($p->{idx}) . u32($ctr));
}


sub play {
    my ($self) = @_;

    my (%idx, $seq);

    $self->{raw} = [];

    for my $play (@{ $self->{plays} }) {
        my %p = (t => $play->{t}, e => $self->epoch($play->{t}),
                 person => $self->person($play->{member}),
                 ctr => 0, status => 0, tier => 0xffffffff, serial => ~0);

        $p{id} = substr HMAC($self->{K_p}, T('play-id') . $self->{cid}
                             . $p{person} . lp($play->{key})), 0, 16;

        $p{round} = $self->rounds_at($p{t});

        if ($play->{degraded}) {
            $p{round} -= $play->{degraded};
            $p{status} = 0x100;
        }

        if ($self->{mode} eq 'moments') {
            @p{qw(round idx u)} = (0, 0, Z);
            $self->moment(\%p);

        } else {
            $p{idx} = $idx{"$p{person} $p{e} $p{round}"}++;

            my $n = $self->cards(\%p);

            for (;; $p{ctr}++) {
                $p{u} = $self->u(\%p, $p{ctr});
                $p{r} = pick48($p{u}, $n);
                last if defined $p{r};
            }

            $p{n} = $n;
            $self->sample(\%p);
        }

        $self->hook(play => \%p, scalar @{ $self->{raw} });

        my $raw = T('playrec') . $self->{cid} . u64(scalar @{ $self->{raw} })
            . u64($p{t}) . u32($p{e}) . u64($p{round}) . $p{person} . $p{id}
            . u32($p{idx}) . u32($p{ctr}) . chr($mode{$self->{mode}})
            . u64($p{n}) . u64($p{r}) . u32($p{tier}) . u64($p{serial})
            . u32($p{status}) . $p{u};

        push @{ $self->{raw} },
             $self->hook(record => $raw, scalar @{ $self->{raw} });
        push @{ $self->{played} }, \%p;
    }

    $self->{leaves} = [map { leaf($_) } @{ $self->{raw} }];
    $self->{files}{log} = join '', @{ $self->{raw} };

    return;
}


sub left {
    my ($self, $row) = @_;

    return undef if !defined $row->[1];

    my $left = $row->[1] - ($self->{awarded}{$row->[0]} // 0);

    return $left > 0 ? $left : 0;
}


sub cards {
    my ($self, $p) = @_;

    my $rows = $self->governs($p->{e})->{rows};

    return $self->{mode} eq 'odds'
        ? lcm(map { $_->[3] } @$rows) : sum0(map { $self->left($_) } @$rows);
}


sub sample {
    my ($self, $p) = @_;

    my $rows = $self->governs($p->{e})->{rows};
    my $r = $p->{r};

    for my $i (0 .. $#$rows) {
        my $share = $self->{mode} eq 'odds'
            ? $p->{n} / $rows->[$i][3] * $rows->[$i][2]
            : $self->left($rows->[$i]);

        if ($r >= $share) {
            $r -= $share;
            next;
        }

        if ($rows->[$i][0] eq '') {
            $self->{awarded}{''}++;
            return;
        }

        return $self->award($p, $rows->[$i], $i);
    }

    return;
}


sub award {
    my ($self, $p, $row, $i) = @_;

    my $wins = $self->governs($p->{e})->{wins};

    $p->{tier} = $i;

    if (defined $row->[1] && $self->left($row) == 0) {
        $p->{status} |= 2;
        return;
    }

    if ($wins && ($self->{wins_of}{$p->{person}} // 0) >= $wins) {
        $p->{status} |= 3;
        return;
    }

    $p->{status} |= 1;
    $p->{serial} = $self->{awarded}{$row->[0]} // 0 if defined $row->[1];

    $self->{awarded}{$row->[0]}++;
    $self->{wins_of}{$p->{person}}++;

    return 1;
}


# places what there is, epoch by epoch

sub place {
    my ($self, $until) = @_;

    for my $e (($self->{placed} // 0) + 1 .. $until) {
        my $v = $self->governs($e);

        for my $n (($self->{units_of} // 0) + 1 .. $v->{number}) {
            my $before = $n > 1 ? $self->{version}[$n - 2]{rows} : [];

            for my $row (@{ $self->{version}[$n - 1]{rows} }) {
                my $old = first { $_->[0] eq $row->[0] } @$before;

                push @{ $self->{units} },
                    map { { name => $row->[0] } }
                        1 .. $row->[1] - ($old ? $old->[1] : 0);
            }

            $self->{units_of} = $n;
        }

        my $start = $self->{open} + ($e - 1) * $self->{length};
        my $end = $start + $self->{length};
        $end = $v->{close} if $end > $v->{close};

        for my $k (0 .. $#{ $self->{units} }) {
            my $unit = $self->{units}[$k];

            next if defined $unit->{t};

            my ($x) = pick($self->K($e), 'moment', $k, $v->{epochs} - $e + 1);

            next if $x;

            ($x) = pick($self->K($e), 'offset', $k, $end - $start);
            $unit->{t} = $start + $x;
            $unit->{k} = $k;
        }

        $self->{placed} = $e;
    }

    return;
}


sub moment {
    my ($self, $p) = @_;

    $self->place($p->{e});

    my @due = sort { $a->{t} <=> $b->{t} || $a->{k} <=> $b->{k} }
              grep { defined $_->{t} && $_->{t} <= $p->{t} && !$_->{given} }
              @{ $self->{units} };

    if (!@due) {
        @$p{qw(n r)} = (0, ~0);
        return;
    }

    @$p{qw(n r)} = (scalar @due, $due[0]{k});

    my $rows = $self->governs($p->{e})->{rows};
    my $i = first { $rows->[$_][0] eq $due[0]{name} } 0 .. $#$rows;

    $due[0]{given} = $self->award($p, $rows->[$i], $i);

    return;
}


# one at the end of each epoch, and one after the close

sub heads {
    my ($self) = @_;

    my $close = $self->{close};
    my @times = map { $self->{open} + $_ * 60000 }
                1 .. int(($close - $self->{open}) / 60000);

    push @times, $close + 1000;

    my $size = 0;

    for my $t (@times) {
        next if $self->{few_heads} && $t != $times[-1];
        last if $self->{until} && $t > $self->{until};

        while ($size < @{ $self->{raw} }
               && $self->{played}[$size]{t} < $t)
        {
            $size++;
        }

        my %head = (size => $size, t => $t, version => $self->governs(
                        $self->epoch($t < $close ? $t : $close - 1)),
                    root => root(@{ $self->{leaves} }[0 .. $size - 1]));

        $self->hook(head => \%head);

        my $note = note($self->{key}, 'head', T('head') . $head{version}{mh}
                        . u64($head{size}) . $head{root} . u64($head{t}));

        push @{ $self->{head_notes} }, $note;
        $self->{files}{heads} .= $note;
    }

    return;
}


sub publish {
    my ($self) = @_;

    my $files = $self->{files};

    # every epoch, played or not: the chain is public after the close

    for my $e (1 .. $self->epoch($self->{close} - 1)) {

        # one of a running game that is not over, or only just

        if ($self->{until}
            && $self->{open} + $e * $self->{length} + 4500 > $self->{until})
        {
            delete @{ $self->{revealed} }{
                map { "$_->{number} $e" } @{ $self->{version} } };
            next;
        }

        if ($self->{mode} eq 'moments' || !$self->{few_reveals}) {
            $self->K($e);
        }
    }

    $files->{reveal} = lines(
        map { "c $_ $self->{revealed}{$_}" }
            sort { my @a = split ' ', $a; my @b = split ' ', $b;
                   $a[0] <=> $b[0] || $a[1] <=> $b[1] }
                 keys %{ $self->{revealed} });

    $files->{beacons} = lines("chain $self->{beacon}{chain}",
        map { "$_ " . unpack 'H*', $self->{rounds}{$_} }
            sort { $a <=> $b } keys %{ $self->{rounds} })
        if $self->{beacon};

    $self->hook(files => $files, $self);

    Raffle::evidence($self) if !$self->{until};

    return;
}


sub receipt {
    my ($self, $seq) = @_;

    my $record = $self->{raw}[$seq];
    my $won = ($self->{played}[$seq]{status} & 3) == 1;

    return lines(
        'nginx-loyalty/1 receipt', 'record ' . unpack('H*', $record),
        $won ? 'signature ' . b64(Proof::sign($self->{key}{seed},
                                              T('receipt') . $record)) : ());
}


1;
