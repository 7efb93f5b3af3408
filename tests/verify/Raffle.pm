package Raffle;

# Makes the files of a sweepstakes, and draws it: by the protocol alone.

use strict;
use warnings;

use Proof;


# What a caller says, all but master and prizes with a value of its own:
#
#     program game open close prizes alternates flags rules terms
#     salt         of the campaign
#     entries      [{ member, tickets, t, salt, event, method }, ...]
#     voids        [[seq, t], ...]
#     beacon       { chain, signature }, or nothing
#     seed         1, or nothing
#     limits       ['3 per day', ...]
#     zone         of the program
#     versions     [{ t, and what is changed: prizes, limits, rules, ... }]
#     dqs          [{ t, position, reason, actor, evidence, late }, ...]
#     authority    who stamps, or nobody
#     stamped      { close, manifest, dq }: ms after the usual time
#     hook         { records, root, seed, signature, picks, files, ... }

sub new {
    my ($class, %o) = @_;

    my $self = bless {
        program => 'shop', game => 'spring', alternates => 0, flags => 0,
        open => 1736266200000, close => 1736352600000,
        salt => substr(H('test campaign salt'), 0, 16),
        master => H('test master secret'), entries => [], voids => [],
        versions => [], dqs => [], hook => {}, stamped => {}, %o,
    }, $class;

    $self->{rules} //= 'rules bytes';
    $self->{key} = sign_key($self->{master}, $self->{program});
    $self->{files} = { vkey => vkey($self->{key}) };
    $self->{cid} = substr H(T('campaign') . lp($self->{program})
                            . lp($self->{game}) . u64($self->{open})), 0, 16;

    my $k = HMAC($self->{master}, T('pseudonym-key') . $self->{cid}
                                  . $self->{salt});
    $self->{K_p} = $k;
    $self->{kp_commit} = H(T('pseudonym-commit') . $self->{cid} . $k);
    $self->{chain} = $self->{beacon} ? pack('H*', $self->{beacon}{chain}) : Z;

    $self->manifests;
    $self->records;
    $self->close_note;
    $self->draw;
    $self->replace;
    $self->publish;

    return $self;
}


sub person {
    my ($self, $member) = @_;

    return HMAC($self->{K_p}, T('person') . $self->{cid} . lp($member));
}


sub hook {
    my ($self, $name, @values) = @_;

    my $hook = $self->{hook}{$name};

    return $hook ? $hook->(@values) : $values[0];
}


sub prizes {
    my ($rows) = @_;

    return T('prizes') . u32(scalar @$rows)
           . join '', map { lp($_->[0]) . u64($_->[1] // ~0)
                            . u64($_->[2] // 0) . u64($_->[3] // 0) } @$rows;
}


sub terms {
    my ($self) = @_;

    return $self->{terms} if defined $self->{terms};

    return lines('timezone ' . ($self->{zone} // 'UTC') . ';',
                 "sweepstakes $self->{game} {",
                 map({ "limit $_;" } @{ $self->{limits} || [] }),
                 map({ ("prize $_->[0] {", "stock $_->[1];", '}') }
                     @{ $self->{prizes} }), '}');
}


sub manifests {
    my ($self) = @_;

    my $mh = Z;
    my $previous;

    for my $change ({}, @{ $self->{versions} }) {
        my $n = ++$self->{number};

        $self->{$_} = $change->{$_} for keys %$change;

        my $prizes = prizes($self->{prizes});
        my $terms = $self->terms;

        $self->{winners} = 0;
        $self->{winners} += $_->[1] for @{ $self->{prizes} };
        $self->{winners} = $self->hook(winners => $self->{winners});

        $self->{R} = $self->{beacon}
                   ? round_at($self->{close} + 30 * 60000) + 1 : 0;

        my $seed = $self->{seed}
                 ? HMAC($self->{master}, T('draw-seed') . $self->{cid}
                                         . u32($n)) : Z;

        $self->{seed_commit} = $seed eq Z ? Z
            : H(T('seed-commit') . $self->{cid} . u32($n) . $seed);
        $self->{seed_used} = $self->hook(seed => $seed);

        my $manifest = T('manifest') . $self->{cid} . u32($n) . $mh
            . chr(1) . chr(0) . u64($self->{open}) . u64($self->{close})
            . u32(0) . u32(0)
            . ($self->{rules} eq '' ? Z : H($self->{rules})) . H($terms)
            . H($prizes) . $self->{chain} . u64($self->{R})
            . $self->{seed_commit} . $self->{kp_commit} . Z
            . u32($self->{winners}) . u32($self->{alternates})
            . chr($self->{flags});

        my $note = note($self->{key}, 'manifest', $manifest);

        $self->{manifest} = $manifest;
        $mh = $self->{mh} = H($manifest);

        $self->{files}{manifest} .= $note;
        $self->{files}{"terms-$n"} = $terms;
        $self->{files}{"prizes-$n"} = $prizes;
        $self->{files}{"rules-$n"} = $self->{rules} if $self->{rules} ne '';

        push @{ $self->{manifest_notes} }, $note;

        $self->token('manifest', $n, $note,
                     ($change->{t} // $self->{open} - 3600000)
                     + ($self->{stamped}{manifest} // 0));
    }

    $self->{files}{reveal} = "seed $self->{number} "
                             . unpack('H*', $self->{seed_used}) . "\n"
        if $self->{seed};

    return;
}


sub token {
    my ($self, $kind, $number, $note, $t) = @_;

    return if !$self->{authority};

    $self->{files}{timestamps} .= "$kind $number "
        . b64(Proof::stamp($self->{authority}, $note, $t)) . "\n";

    return;
}


sub records {
    my ($self) = @_;

    my (@records, $next);

    for my $e (@{ $self->{entries} }) {
        my $commit = H(T('entry-commit') . lp($e->{salt})
                       . lp(lp($e->{member}) . lp($e->{event})));

        push @records, {
            t => $e->{t}, first => $next // 0, tickets => $e->{tickets},
            person => $self->person($e->{member}), commit => $commit,
            method => $e->{method}, flags => 0,
        };

        $next += $e->{tickets};
    }

    for my $void (@{ $self->{voids} }) {
        push @records, { %{ $records[$void->[0]] }, t => $void->[1],
                         commit => Z, flags => 1 };
        $self->{voided}{$void->[0]} = 1;
    }

    $self->hook(records => \@records);

    $self->{records} = \@records;
    $self->{tickets} = $next // 0;

    for my $i (0 .. $#records) {
        my $r = $records[$i];

        push @{ $self->{raw} }, T('entry') . $self->{cid} . u64($i)
            . u64($r->{t}) . u64($r->{first}) . u32($r->{tickets})
            . $r->{person} . $r->{commit} . chr($r->{method})
            . chr($r->{flags});
    }

    $self->{files}{entries} = join '', @{ $self->{raw} || [] };
    $self->{leaves} = [map { leaf($_) } @{ $self->{raw} || [] }];

    return;
}


sub close_note {
    my ($self) = @_;

    $self->{root} = $self->hook(root => root(@{ $self->{leaves} }));

    $self->{close_statement} = T('close') . $self->{mh}
        . u64(scalar @{ $self->{leaves} }) . u64($self->{tickets})
        . $self->{root} . u64($self->{close} + 1000);

    my $note = note($self->{key}, 'close', $self->{close_statement});

    $self->{files}{close} = $self->{close_note} = $note;

    my $t = $self->{close} + 2000 + ($self->{stamped}{close} // 0);

    $self->token('close', 0, $note, $t);

    $self->{drawn_round} = $self->{R};

    if ($self->{beacon} && $t >= round_time($self->{R})) {
        $self->{drawn_round} = round_at($t + 30 * 60000) + 1;
    }

    return;
}


# B of a round, which is then among the published ones

sub beacon {
    my ($self, $round) = @_;

    return Z if !$round;

    my $signature = $self->hook(signature =>
                                $self->{beacon}{signature}->($round), $round);

    $self->{rounds}{$round} = $signature;

    return H($signature);
}


# the next attempt that is nobody's who was taken before

sub choose {
    my ($self, $key, $tag, $p) = @_;

    my $left = grep { !$self->{voided}{$_}
                      && !$self->{records}[$_]{flags}
                      && !$self->{taken}{$self->{records}[$_]{person}} }
                    0 .. $#{ $self->{records} };

    return undef if !$left;

    for (my $a = 0; ; $a++) {
        (my $ticket, $a) = pick($key, $tag, $p, $self->{tickets}, $a);

        my ($seq) = grep { my $r = $self->{records}[$_];
                           !$r->{flags} && $ticket >= $r->{first}
                           && $ticket < $r->{first} + $r->{tickets} }
                         0 .. $#{ $self->{records} };

        my $person = $self->{records}[$seq]{person};

        next if $self->{voided}{$seq} || $self->{taken}{$person};

        $self->{taken}{$person} = 1;

        return { a => $a, ticket => $ticket, seq => $seq, person => $person };
    }
}


sub pick_line {
    my ($what, $number, $p) = @_;

    return "$what $number $p->{a} $p->{ticket} $p->{seq} "
           . unpack 'H*', $p->{person};
}


sub winner_line {
    my ($self, $position, $p) = @_;

    my ($prize, $n) = (0, $position);

    while ($n >= $self->{prizes}[$prize][1]) {
        $n -= $self->{prizes}[$prize++][1];
    }

    return "vacant $position $prize" if !$p;

    return "winner $position $prize $p->{seq} " . unpack 'H*', $p->{person};
}


sub draw {
    my ($self) = @_;

    my $key = $self->{K_draw} = H(T('draw-key') . $self->{mh} . $self->{root}
        . u64(scalar @{ $self->{leaves} }) . u64($self->{tickets})
        . $self->{chain} . u64($self->{drawn_round})
        . $self->beacon($self->{drawn_round}) . $self->{seed_used});

    for my $p (0 .. $self->{winners} + $self->{alternates} - 1) {
        my $pick = $self->choose($key, 'pick', $p);

        last if !$pick;

        push @{ $self->{picks} }, $pick;
    }

    my $n = 0;

    $self->{lines} = [
        map({ pick_line('pick', $n++, $_) } @{ $self->{picks} || [] }),
        map({ $self->winner_line($_, $self->{picks}[$_]) }
            0 .. $self->{winners} - 1),
    ];

    $self->{holder} = [@{ $self->{picks} || [] }[0 .. $self->{winners} - 1]];
    $self->{spare} = $self->{winners};

    return;
}


# disqualifications, each replaced at once

sub replace {
    my ($self) = @_;

    my $k = 0;

    for my $dq (@{ $self->{dqs} }) {
        $k++;

        my $holder = $self->{holder}[$dq->{position}];
        my $t = $dq->{t};

        for my $try (0 .. ($dq->{late} // 0)) {
            $t += 3600000 if $try;

            $self->{dq} = T('dq') . $self->{cid} . u32($k) . u64($t)
                . u32($dq->{position}) . u64($holder->{seq})
                . $holder->{person} . pack('n', $dq->{reason} // 3)
                . lp($dq->{actor} // 'ops')
                . ($dq->{evidence} // H('evidence'));

            my $note = note($self->{key}, 'dq', $self->{dq});

            $self->{files}{dq} .= $note;
            push @{ $self->{dq_notes} }, $note;

            $self->token('dq', $k, $note, $t + 2000
                         + (!$try && $dq->{late} ? 600000 : 0)
                         + ($self->{stamped}{dq} // 0))
                if $self->{flags} & 2;
        }

        $self->{taken}{$holder->{person}} = 1;

        my $next;

        if ($self->{flags} & 2 || $dq->{fresh}) {
            my $round = round_at($t + 60000) + 1;

            $self->{K_alt} = H(T('alt-key') . $self->{K_draw} . u32($k)
                               . leaf($self->{dq}) . u64($round)
                               . $self->beacon($round));
            $self->{R_k} = $round;

            $next = $self->choose($self->{K_alt}, 'alt', $k);
            push @{ $self->{fresh} }, $next;
            push @{ $self->{lines} }, pick_line('fresh', $k, $next) if $next;

        } else {
            $next = $self->{picks}[$self->{spare}++];
        }

        $self->{holder}[$dq->{position}] = $next;
        push @{ $self->{lines} },
             $self->winner_line($dq->{position}, $next);
    }

    return;
}


sub publish {
    my ($self) = @_;

    my $files = $self->{files};

    $self->hook(lines => $self->{lines});

    $files->{picks} = lines(@{ $self->{lines} });

    $files->{beacons} = lines("chain $self->{beacon}{chain}",
        map { "$_ " . unpack 'H*', $self->{rounds}{$_} }
            sort { $a <=> $b } keys %{ $self->{rounds} })
        if $self->{beacon};

    $self->hook(files => $files, $self);

    evidence($self);

    return;
}


# names the files as they are, in a note of its own

sub evidence {
    my ($self) = @_;

    my $files = $self->{files};

    delete @$files{grep { !length $files->{$_} } keys %$files};

    my @names = sort grep { $_ ne 'vkey' && $_ ne 'evidence' } keys %$files;
    my %hash = map { $_ => H($files->{$_}) } @names;

    my $hook = $self->{hook}{evidence};
    $hook->(\@names, \%hash) if $hook;

    $files->{evidence} = note($self->{key}, 'evidence',
        T('evidence') . $self->{cid}
        . u64($self->{close} + 14 * 86400000) . u32(scalar @names)
        . join '', map { lp($_) . $hash{$_} } @names);

    return;
}


# what a member would have saved of an entry

sub receipt {
    my ($self, $seq) = @_;

    my $record = $self->{raw}[$seq];
    my $entry = $self->{entries}[$seq];

    return lines(
        'nginx-loyalty/1 receipt', 'record ' . unpack('H*', $record),
        'signature ' . b64(Proof::sign($self->{key}{seed},
                                       T('receipt') . $record)),
        'salt ' . unpack('H*', $entry->{salt}), "member $entry->{member}",
        "event $entry->{event}");
}


sub write {
    my ($self, $dir) = @_;

    mkdir $dir;
    unlink glob "$dir/*";

    spew("$dir/$_", $self->{files}{$_}) for keys %{ $self->{files} };

    return $dir;
}


1;
