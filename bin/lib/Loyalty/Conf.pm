package Loyalty::Conf;

# Programs as nginx -T shows them, and the difference between two of one
# name, in words.
#
#     my @programs = Loyalty::Conf::programs(conf => 'nginx.conf');
#     my @found = Loyalty::Conf::differences($program, $known);
#         # [ 1 when something is lost or refused, text ], ...

use strict;
use warnings;

use JSON::PP ();
use Time::Local ();

my $MOMENTS = 3;                        # mode of a manifest


sub parse { return JSON::PP->new->utf8->decode($_[0]) }


sub programs {
    my (%opt) = @_;
    my @command = ($opt{nginx} // 'nginx', '-T',
                   defined $opt{conf} ? ('-c', _absolute($opt{conf})) : (),
                   defined $opt{prefix} ? ('-p', $opt{prefix}) : ());

    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or exit 127;
    }

    my $text = do { local $/; <$out> } // '';
    close $out;

    if ($?) {
        my @said = $text =~ /^(.*\[(?:emerg|alert)\].*)$/mg;
        die join("\n", @said ? @said : "cannot run @command"), "\n";
    }

    return map { parse($_) }
           $text =~ /^# configuration file loyalty_program [\w-]+:\n# (\{.*)$/mg;
}


sub _absolute {
    my ($file) = @_;

    return $file if $file =~ m{^/};

    require Cwd;
    return Cwd::getcwd() . "/$file";
}


sub differences {
    my ($new, $old) = @_;

    return [ 0, 'no nginx has run this program on that Redis yet' ]
        if !defined $old;

    return (_program($new, $old), _wallets($new, $old), _tiers($new, $old),
            _rules($new, $old), _codes($new, $old), _stocks($new, $old),
            _draws($new, $old), _secrets($new, $old));
}


sub _program {
    my ($new, $old) = @_;
    my @found;

    push @found, [ 1, "timezone is $new->{timezone}, was $old->{timezone}: "
        . 'days, weeks and months begin at other instants, streaks and '
        . 'challenges under way may gain or lose one' ]
        if $new->{timezone} ne $old->{timezone};

    push @found, [ 1, "money has $new->{decimals} decimals, had "
        . "$old->{decimals}: amounts that are remembered would be read as "
        . 'others' ] if $new->{decimals} != $old->{decimals};

    push @found, [ 1, "money is " . ($new->{currency} || "of no currency")
        . ", was " . ($old->{currency} || "of none") . ": what is remembered "
        . "keeps its numbers" ]
        if $new->{currency} ne $old->{currency};

    push @found, [ 1, 'remember is shorter: a repeat or a reversal of an '
        . 'older event is no longer recognised' ]
        if $new->{remember} < $old->{remember};

    push @found, [ 0, 'remember is longer: what is forgotten by now stays so' ]
        if $new->{remember} > $old->{remember};

    push @found, [ 0, 'max_event_age is ' . _days($new->{max_event_age})
        . ', was ' . _days($old->{max_event_age}) . ': older events are '
        . 'refused' ]
        if $new->{max_event_age} != $old->{max_event_age};

    return @found;
}


sub _days { return $_[0] / 86_400_000 . ' days' }


sub _by_name {
    my ($list) = @_;

    return map { $_->{name} => $_ } @$list;
}


sub _wallets {
    my ($new, $old) = @_;
    my %new = _by_name($new->{wallets});
    my %old = _by_name($old->{wallets});
    my @found;

    for my $name (sort keys %new) {
        push @found, [ 0, "wallet $name is new" ] if !$old{$name};
    }

    for my $name (sort keys %old) {
        if (!$new{$name}) {
            push @found, [ 1, "wallet $name is gone: balances stay in Redis "
                . 'and are not shown' ];

        } elsif ($old{$name}{negative} && !$new{$name}{negative}) {
            push @found, [ 0, "wallet $name may no longer go below zero" ];

        } elsif (!$old{$name}{negative} && $new{$name}{negative}) {
            push @found, [ 0, "wallet $name may go below zero" ];
        }
    }

    push @found, [ 1, 'the first wallet is another one: tiers stand on its '
        . 'lifetime points' ]
        if @{$new->{tiers}} && @{$old->{wallets}}
           && $new->{wallets}[0]{name} ne $old->{wallets}[0]{name};

    return @found;
}


sub _tiers {
    my ($new, $old) = @_;
    my ($now, $was) = map {
        join ', ', map { "$_->{name} $_->{threshold} x "
                         . $_->{multiplier} / 10000 } @{$_->{tiers}}
    } $new, $old;

    return $now eq $was ? ()
        : [ 0, "tiers are " . ($now || 'none') . '; were ' . ($was || 'none')
               . ': members move at once' ];
}


# a rule without its name, to know a renamed one by
sub _nameless {
    my ($rule) = @_;
    my $text = $rule->{canonical};

    $text =~ s/^(\w+) \Q$rule->{name}\E(?= |$)/$1/ if length $rule->{name};

    return $text;
}


sub _rules {
    my ($new, $old) = @_;
    my %new = map { $_->{canonical} => $_ } @{$new->{rules}};
    my %old = map { $_->{canonical} => $_ } @{$old->{rules}};
    my @added = grep { !$old{$_->{canonical}} } @{$new->{rules}};
    my @gone = grep { !$new{$_->{canonical}} } @{$old->{rules}};
    my @found;

    # draws have a comparison of their own
    @added = grep { !_is_draw($_) } @added;
    @gone = grep { !_is_draw($_) } @gone;

    for my $rule (@{$new->{rules}}) {
        my $was = $old{$rule->{canonical}};

        push @found, [ 0, "$rule->{reason}: its goal, awards, limits or "
            . 'freezes are others, for what is open, too' ]
            if $was && !_is_draw($rule) && $was->{blob} ne $rule->{blob};
    }

    for my $rule (@added) {
        my ($changed) = grep { length $rule->{name}
                               && $_->{reason} eq $rule->{reason} } @gone;
        my ($renamed) = grep { length $rule->{name}
                               && $_->{game} eq $rule->{game}
                               && _nameless($_) eq _nameless($rule) } @gone;

        if ($changed) {
            push @found, [ 1, "$rule->{reason} is another rule: it starts "
                . "anew for everybody\n      was $changed->{canonical}\n"
                . "      is  $rule->{canonical}" ];
            @gone = grep { $_ != $changed } @gone;

        } elsif ($renamed) {
            push @found, [ 1, "$renamed->{reason} is renamed to "
                . "$rule->{name}: it starts anew for everybody" ];
            @gone = grep { $_ != $renamed } @gone;

        } else {
            push @found, [ 0, _called($rule) . ' is new' ];
        }
    }

    push @found, map { [ $_->{game} eq 'earn' ? 0 : 1, _called($_)
        . ' is gone' . ($_->{game} eq 'earn' ? '' : ': what members have in '
        . 'it stays in Redis and is not shown') ] } @gone;

    return @found;
}


# pools that rewards hand out codes of; those of prizes are in their terms.  One
# that ran before these were told says nothing.
sub _codes {
    my ($new, $old) = @_;
    my %was = map { $_->{reason} => $_->{codes} } @{$old->{rules}};
    my @found;

    for my $rule (@{$new->{rules}}) {
        my ($pool, $before) = ($rule->{codes}, $was{$rule->{reason}});

        next if !defined $before || $pool eq $before;
        push @found, [ 0, "$rule->{reason} hands out "
            . (length $pool ? "codes of the pool $pool" : 'no codes')
            . (length $before ? ", was of $before: those that are left in it "
                                . 'stay' : ', was none') ];
    }

    return @found;
}


# how much there is of a reward: one that ran before this was told says nothing
sub _stocks {
    my ($new, $old) = @_;
    my %was = map { $_->{reason} => $_->{stock} } @{$old->{rules}};
    my @found;

    for my $rule (@{$new->{rules}}) {
        my ($stock, $before) = ($rule->{stock}, $was{$rule->{reason}});

        next if !defined $stock || !defined $before || $stock eq $before;
        push @found, [ 0, "$rule->{reason} has "
            . (length $stock ? "a stock of $stock" : 'no end') . ', had '
            . (length $before ? "a stock of $before" : 'none')
            . ': what was handed out counts' ];
    }

    return @found;
}


# a secret is known by the key that verifies what it signs
sub _secrets {
    my ($new, $old) = @_;
    my %new = map { $_->{id} => $_->{vkey} } @{$new->{secrets} // []};
    my @found;

    for my $draw (@{$new->{draws}}) {
        my $registered = $old->{registered}{$draw->{cid}} or next;
        my ($id, $vkey) = @{$registered}{qw(secret vkey)};
        my $name = "$draw->{game} $draw->{name}";

        next if !defined $id || !defined $vkey;

        if (!defined $new{$id}) {
            push @found, [ 1, "$name began with the secret \"$id\", which is "
                . 'not in the secret_file: it would be stopped' ];

        } elsif ($new{$id} ne $vkey) {
            push @found, [ 1, "the secret \"$id\" is not the one that $name "
                . 'began with: it would be stopped' ];
        }
    }

    return @found if !$old->{secrets};

    my ($first, $before) = map { $_ ? $_->{id} : '' }
                           map { my ($secret) = @{$_->{secrets} // []}; $secret }
                           $new, $old;

    push @found, [ 0, "new draws begin with the secret \"$first\", was "
        . "\"$before\"" ] if length $first && length $before
                             && $first ne $before;

    my %old = map { $_->{id} => $_->{vkey} } @{$old->{secrets}};

    push @found, map { [ 0, "the secret \"$_\" is another one than before" ] }
                 grep { defined $old{$_} && $old{$_} ne $new{$_} }
                 sort keys %new;

    return @found;
}


sub _called {
    my ($rule) = @_;

    return length $rule->{name} ? $rule->{reason} : "\"$rule->{canonical}\"";
}


sub _is_draw {
    return $_[0]{game} eq 'instant_win' || $_[0]{game} eq 'sweepstakes';
}


sub _draws {
    my ($new, $old) = @_;
    my %new = map { $_->{cid} => $_ } @{$new->{draws}};
    my %old = map { $_->{cid} => $_ } @{$old->{draws}};
    my @found;

    for my $draw (@{$new->{draws}}) {
        my $was = $old{$draw->{cid}};
        my $name = "$draw->{game} $draw->{name}";
        my $registered = $old->{registered}{$draw->{cid}};
        my $version = $registered ? $registered->{version} : 0;

        if ($registered && _fixed($draw, $registered)) {
            push @found, [ 1, "$name has another "
                . _fixed($draw, $registered) . ' than it was opened with, '
                . 'which no version may change: it would answer '
                . 'rules_changed' ];

        } elsif ($draw->{version} < $version) {
            push @found, [ 1, "$name has version $draw->{version}, and "
                . "version $version is registered: it would answer "
                . 'stale_configuration' ];

        } elsif ($registered && $draw->{version} > $version
                 && $registered->{close} < time() * 1000)
        {
            push @found, [ 1, "$name has version $draw->{version}, and "
                . "version $version has closed: it comes too late and would "
                . 'answer rules_changed' ];

        } elsif ($draw->{version} > $version + 1) {
            push @found, [ 1, "$name has version $draw->{version}, and "
                . ($version ? "version $version" : 'none')
                . ' is registered: version ' . ($version + 1) . ' comes '
                . 'next' ];

        } elsif ($draw->{version} == $version
                 && _changed($draw, $registered))
        {
            push @found, [ 1, "$name has other "
                . _changed($draw, $registered)
                . ' than version ' . $version . ', which is registered: write '
                . '"version ' . ($version + 1) . ';" or it would answer '
                . 'rules_changed' ];

        } elsif ($draw->{version} > $version && _less($draw, $registered)) {
            push @found, [ 1, "$name has less of the prize "
                . _less($draw, $registered) . ' than version ' . $version
                . ': by moments a stock only grows, and it would answer '
                . 'rules_changed' ];

        } elsif (!$was && !$registered) {
            push @found, [ 0, "$name is a new campaign" ];

        } elsif ($draw->{version} > $version) {
            push @found, [ 0, "$name has a new version $draw->{version}" ];
        }
    }

    for my $draw (@{$old->{draws}}) {
        next if $new{$draw->{cid}};

        my $ended = $draw->{close} < time() * 1000;

        push @found, [ $ended ? 0 : 1, "$draw->{game} $draw->{name} is gone"
            . ($ended ? '' : ' before its close: nobody closes or draws it, '
               . 'and with another open its name answers rules_changed') ];
    }

    return @found;
}


sub _changed {
    my ($new, $old) = @_;
    my @what = grep { $new->{$_} ne $old->{$_} } qw(terms prizes rules);

    return join ', ', @what;
}


# what holds for all versions of a campaign
sub _fixed {
    my ($new, $old) = @_;
    my %called = (mode => 'draw', epoch => 'epoch', beacon => 'beacon');
    my @what = grep { defined $new->{$_} && $new->{$_} != $old->{$_} }
               qw(mode epoch beacon);

    return join ', ', @called{@what};
}


# a prize whose units are placed already, in $MOMENTS, and which is to have fewer
sub _less {
    my ($new, $old) = @_;

    return '' if ($new->{mode} // 0) != $MOMENTS || !$old;

    my %now = _stock($new->{table});
    my %was = _stock($old->{table});

    return join ', ', grep { ($now{$_} // 0) < $was{$_} } sort keys %was;
}


# names and stocks of a table of prizes as docs/proof.md has it, in hex
sub _stock {
    my ($hex) = @_;
    my @fields = unpack 'Z* N/(N/a Q>3)', pack 'H*', $hex;
    my %stock;

    shift @fields;

    while (my ($name, $stock) = splice @fields, 0, 4) {
        $stock{$name} = $stock;
    }

    return %stock;
}


1;
