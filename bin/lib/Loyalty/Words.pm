package Loyalty::Words;

# A member in words, line by line.
#
#     my $words = Loyalty::Words->new($member, $names);
#     $words->wallets  $words->slots  $words->record($record)
#
# $member is what Loyalty::Member::parse() gives, $names the words for 8 hex
# digits.  A state that is not what docs/internals.md says is shown as it is.

use strict;
use warnings;

use POSIX ();

my @SHAPES = ('once ever', 'every period', 'window', 'opened by an event');
my @MODES = ('events', 'quantity of items', 'amount', 'amount of items',
             'distinct values');
my @ROUND = qw(floor ceil half);
my @BASIS = ('an event', 'of the event\'s amount', 'of the items\' quantity',
             'of the items\' amount');

my %STATES = (
    program => sub { return () },
    type => sub { return () },
    earn => \&_earn,
    challenge => \&_challenge,
    streak => \&_streak,
    badge => sub { return "awarded $_[1][0] times" },
    reward => sub { return "redeemed $_[1][0] times" },
    sweepstakes => \&_sweepstakes,
    instant_win => sub {
        my ($bank, $wins, $plays) = @{$_[1]};
        return "played $plays times, won $wins times, $bank plays awarded "
               . 'and not used';
    },
);

my %ENTRIES = (
    1 => \&_points, 2 => \&_items, 3 => \&_progress, 4 => \&_after,
    5 => \&_progress, 6 => \&_after, 7 => \&_run, 8 => \&_run, 9 => \&_more,
    10 => \&_tier, 11 => \&_reverses, 12 => \&_opened, 13 => \&_owed,
    14 => \&_play, 15 => \&_tickets, 16 => \&_voided, 17 => \&_plays,
    18 => \&_reward, 19 => \&_badge, 20 => \&_by_hand,
    21 => \&_refused,
);


sub new {
    my ($class, $member, $names) = @_;

    return bless { member => $member, names => $names }, $class;
}


sub _name {
    my ($self, $hash) = @_;

    return $self->{names}{$hash} // "~$hash";
}


sub _slot {
    my ($self, $index) = @_;
    my $slot = $index > 0 ? $self->{member}{slots}[$index - 1] : undef;

    return defined $slot ? $self->_name($slot->{hash}) : "slot $index";
}


sub _wallet {
    my ($self, $index) = @_;
    my $wallet = $index > 0 ? $self->{member}{wallets}[$index - 1] : undef;

    return defined $wallet ? $self->_name($wallet->{hash})
                           : "wallet $index";
}


sub wallets {
    my ($self) = @_;

    return map {
        $self->_name($_->{hash}) . ": balance $_->{balance}, lifetime "
        . "$_->{lifetime}, opening $_->{opening}, owed $_->{owed}"
    } @{$self->{member}{wallets}};
}


sub slots {
    my ($self) = @_;
    my @lines;

    for my $slot (@{$self->{member}{slots}}) {
        my $name = $self->_name($slot->{hash});
        my $state = $slot->{state};
        my ($word) = $name =~ /^(\w+)/;

        push @lines, $name;

        next if !defined $state;

        if (!ref $state) {
            $lines[-1] .= ": the event type $state";
            next;
        }

        my $form = defined $word ? $STATES{$word} : undef;
        my @more = eval { $form->($self, $state) };

        push @lines, map { "    $_" }
             defined $form && !$@ ? @more : _plain($state);
    }

    return @lines;
}


sub _earn {
    my ($self, $state) = @_;
    my ($basis, $num, $den, $round) = @$state;

    return "$num / $den $BASIS[-1 - $basis], rounded $ROUND[$round]";
}


sub _challenge {
    my ($self, $state) = @_;
    my ($form, @rest) = @$state;
    my ($shape, $mode) = (int($form / 8), $form % 8);

    my @lines = "$SHAPES[$shape], counts $MODES[$mode]";

    return (@lines, $self->_entry(@rest)) if $shape == 0;

    if ($shape == 1) {
        while (my ($period, $entry) = splice @rest, 0, 2) {
            push @lines, "period $period: " . $self->_entry($entry);
        }

        return @lines;
    }

    my $next = shift @rest;

    while (my ($ordinal, $opened, $entry) = splice @rest, 0, 3) {
        push @lines, "instance $ordinal, opened " . time_of($opened) . ': '
                     . $self->_entry($entry);
    }

    return (@lines, "the next instance is $next");
}


sub _entry {
    my ($self, $entry) = @_;

    return "progress $entry" if ref $entry ne 'ARRAY';

    my ($progress, $goal, $paid, $values) = @$entry;
    my $text = "progress $progress";

    $text .= ", completed at $goal" if $goal;
    $text .= $self->_paid(@$paid) if ref $paid eq 'ARRAY';
    $text .= ', values ' . join ' ', map {
        unpack('H*', $_) . "\xc3\x97$values->{$_}"
    } sort keys %$values if ref $values eq 'HASH';

    return $text;
}


sub _paid {
    my ($self, @paid) = @_;
    my $text = '';

    while (my ($where, $amount) = splice @paid, 0, 2) {
        $text .= ', paid ' . $self->_award($where, $amount);
    }

    return $text;
}


# into a wallet, or -(kind + 16 * slot): to a game
sub _award {
    my ($self, $where, $amount) = @_;

    return "$amount in " . $self->_wallet($where) if $where > 0;
    return 'nothing' if $where == 0;

    my $slot = $self->_slot((-$where - -$where % 16) / 16);

    return -$where % 16 == 2 ? "entry $amount of $slot" : "$amount of $slot";
}


# The map is drawn oldest period first: # an event, f a freeze, . nothing.
sub _streak {
    my ($self, $state) = @_;

    my ($top, $lo, $best, $total, $below, $hi, $carry, $frozen_lo,
        $frozen_hi, $freezes, $counts, $paid, $gone)
        = map { $_ // 0 } @$state[0 .. 12];

    my $map = '';

    for my $bit (reverse 0 .. 63) {
        my ($half, $frozen, $shift) = $bit < 32
            ? ($lo, $frozen_lo, $bit) : ($hi, $frozen_hi, $bit - 32);

        $map .= $half >> $shift & 1 ? '#' : $frozen >> $shift & 1 ? 'f'
                                          : '.';
    }

    $map =~ s/^\.+(?=.)//;

    my @lines = "last period $top, best $best, events $total";

    push @lines, "map up to period $top: $map";
    push @lines, "the run goes on below the map for $carry" if $carry;
    push @lines, "longest run that left the map: $below" if $below;
    push @lines, 'freezes held: ' . ($freezes - 1) if $freezes;

    if (ref $counts eq 'ARRAY') {
        my @counts = @$counts;

        while (my ($period, $n) = splice @counts, 0, 2) {
            push @lines, "period $period has $n events";
        }
    }

    if (ref $paid eq 'ARRAY') {
        my @paid = @$paid;

        while (my ($period, $at, $every, $wallet, $amount)
               = splice @paid, 0, 5)
        {
            push @lines, 'paid ' . $self->_award($wallet, $amount)
                 . " for a run of $at at period $period"
                 . ($every ? ", every $every" : '');
        }
    }

    push @lines, 'runs that left the map' . $self->_paid(@$gone)
        if ref $gone eq 'ARRAY';

    return @lines;
}


sub record {
    my ($self, $r) = @_;

    my $slot = $r->{type} ? $self->{member}{slots}[$r->{type} - 1] : undef;
    my $type = !$r->{type} ? 'reversal'
             : defined $slot && defined $slot->{state} && !ref $slot->{state}
             ? $slot->{state} : "slot $r->{type}";
    my $id = "\"$r->{id}\"";

    # what was asked for by a key: its kind and 16 bytes
    if (length $r->{id} == 17 && $r->{id} =~ /^([\x01-\x04])/) {
        $type = (qw(play entry redemption adjustment))[ord($1) - 1];
        $id = unpack 'H*', substr $r->{id}, 1;
    }

    my $line = "$r->{seq}: $type $id at " . time_of($r->{at})
               . ', accepted ' . time_of($r->{accepted} * 1000);

    $line .= ", amount $r->{amount}" if defined $r->{amount};
    $line .= ", multiplier " . $r->{multiplier} / 10000
        if $r->{multiplier};

    my @lines = $line;
    my @items = @{$r->{items} // []};

    while (my ($sku, $category, $quantity, $amount) = splice @items, 0, 4) {
        push @lines, "    item \"$sku\""
             . (length $category ? " of $category" : '') . " x $quantity"
             . ($amount >= 0 ? ", amount $amount" : '');
    }

    push @lines, '    ' . _left($r->{reversed}) if $r->{reversed};

    for my $entry (@{$r->{entries}}) {
        my ($kind, @values) = @$entry;
        my $text = eval { $ENTRIES{$kind}->($self, $kind, @values) };

        push @lines, '    ' . ($text // join ' ', _plain($entry));
    }

    my @balances = @{$r->{balances}};

    push @lines, '    balances: ' . join ', ', map {
        $self->_wallet($_ + 1) . " $balances[$_]"
    } 0 .. $#balances if @balances;

    return @lines;
}


sub _left {
    my ($used, $amount, @items) = @{$_[0]};

    return 'reversed as a whole' if $used;

    my $text = "reversed in part, left: amount $amount";
    my $n = 0;

    while (my ($quantity, $worth) = splice @items, 0, 2) {
        $text .= ', item ' . ++$n . " x $quantity, amount $worth";
    }

    return $text;
}


sub _points {
    my ($self, $kind, $wallet, $amount, $slot) = @_;

    return sprintf '%+d in %s for %s', $amount, $self->_wallet($wallet),
           $slot ? $self->_slot($slot) : 'an adjustment';
}


sub _items {
    my ($self, $kind, $slot, $n, @items) = @_;

    return $self->_slot($slot) . " counted the items @items";
}


sub _progress {
    my ($self, $kind, $slot, $instance, $progress, $goal, @rest) = @_;

    return $self->_slot($slot) . ", instance $instance: $progress of $goal"
           . ($kind == 5 ? ", values: $rest[0]" : '');
}


sub _after {
    my ($self, $kind, $slot, $instance, $n) = @_;

    return $self->_slot($slot) . ", instance $instance: "
           . ($kind == 6 ? "no progress, values: $n"
                         : 'one more after completion');
}


sub _run {
    my ($self, $kind, $slot, $period, $length, $best, $broken, $frozen) = @_;

    return $self->_slot($slot) . ", period $period: length $length, best "
           . $best . ($broken ? ", a run of $broken broke" : '')
           . ($frozen ? ", freezes spent: $frozen" : '');
}


sub _more {
    my ($self, $kind, $slot, $period) = @_;

    return $self->_slot($slot) . ", period $period: one more event";
}


sub _tier {
    my ($self, $kind, @hashes) = @_;

    return 'from ' . join ' to ', map {
        $_ eq "\0\0\0\0" ? 'no tier' : $self->_name(unpack 'H8', $_)
    } @hashes;
}


sub _reverses {
    my ($self, $kind, $id, $amount, $items) = @_;

    return "reverses \"$id\"" . (
        ref $items eq 'ARRAY' ? _reversed_items(@$items)
        : defined $amount && !ref $amount ? ", amount $amount"
        : ' as a whole or what is left of it');
}


# a category that is empty, or a number below 0, was not given
sub _reversed_items {
    my (@items) = @_;
    my $text = '';

    while (my ($sku, $category, $quantity, $amount) = splice @items, 0, 4) {
        $text .= ($text eq '' ? ', items ' : ', ') . _plain($sku)
                 . ($category ne '' ? ' of ' . _plain($category) : '')
                 . ($quantity >= 0 ? " x $quantity" : '')
                 . ($amount >= 0 ? " for $amount" : '');
    }

    return $text;
}


sub _opened {
    my ($self, $kind, $slot, $instance, $goal) = @_;

    return $self->_slot($slot) . ", instance $instance opened: 0 of $goal";
}


sub _owed {
    my ($self, $kind, $wallet, $amount) = @_;

    return "$amount could not be taken from " . $self->_wallet($wallet)
           . ' and is owed';
}


sub _sweepstakes {
    my ($self, $state) = @_;
    my ($tickets, $day, $in_day, $week, $in_week, $month, $in_month, $entries)
        = @$state;

    my @lines = "tickets $tickets; entered on day $day: $in_day, "
                . "in week $week: $in_week, in month $month: $in_month";

    for my $entry (unpack '(a16)*', $entries) {
        my ($seq_hi, $seq, $first_hi, $first, $n) = unpack 'nNnNN', $entry;

        push @lines, 'entry ' . ($seq_hi * 2 ** 32 + $seq) . ': '
             . _numbers($first_hi * 2 ** 32 + $first, $n);
    }

    return @lines;
}


sub _numbers {
    my ($first, $n) = @_;

    return $n == 1 ? "ticket $first"
                   : "tickets $first to " . ($first + $n - 1);
}


sub _tickets {
    my ($self, $kind, $slot, $seq, $first, $n, $method) = @_;
    my @methods = ('', ' bought', ' for free', ' awarded', ' imported');

    return $self->_slot($slot) . ", entry $seq: " . _numbers($first, $n)
           . ($methods[$method] // '');
}


sub _refused {
    my ($self, $kind, $slot, $n, $why) = @_;

    return $self->_slot($slot) . ', ' . ($n == 1 ? '1 ticket' : "$n tickets")
           . " not awarded: $why";
}


sub _voided {
    my ($self, $kind, $slot, $seq, $first, $n) = @_;

    return $self->_slot($slot) . ", entry $seq: " . _numbers($first, $n)
           . ' voided';
}


sub _play {
    my ($self, $kind, $slot, $seq, $row, $status, $version, $code, $left) = @_;
    my @status = ('lost', 'won', 'lost, nothing was left',
                  'lost, has won often enough');

    return 'play ' . $seq . ' of ' . $self->_slot($slot) . ": $status[$status & 3]"
           . ($row < 0 ? '' : ", row $row of version $version")
           . ($status & 0x100 ? ', with an older round' : '')
           . ($code ? ", code $code" : '')
           . ($left < 0 ? '' : ", $left left");
}


sub _plays {
    my ($self, $kind, $slot, $n) = @_;

    return sprintf '%+d plays of %s', $n, $self->_slot($slot);
}


sub _reward {
    my ($self, $kind, $slot, $code) = @_;

    return 'got ' . $self->_slot($slot)
           . (!defined $code ? '' : $code eq '' ? '' : $code eq '0'
              ? ', of which nothing was left' : ", code $code");
}


sub _by_hand {
    my ($self, $kind, $actor, $reason) = @_;

    return "by hand of $actor: $reason";
}


sub _badge {
    my ($self, $kind, $slot, $has) = @_;

    return ($has ? 'got ' : 'lost ') . $self->_slot($slot);
}


# any value on one line
sub _plain {
    my ($value) = @_;

    return !defined $value ? 'nil'
         : ref $value eq 'ARRAY'
           ? '[' . join(', ', map { _plain($_) } @$value) . ']'
         : ref $value eq 'HASH'
           ? '{' . join(', ', map { _plain($_) . ': '
                                    . _plain($value->{$_}) }
                        sort keys %$value) . '}'
         : $value =~ /^[\x20-\x7e]*\z/ ? "$value"
         : '~' . unpack 'H*', $value;
}


# ms to words, in UTC
sub time_of {
    my ($ms) = @_;
    my $s = int($ms / 1000);

    return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime $s)
           . ($ms % 1000 ? sprintf '.%03d', $ms % 1000 : '') . 'Z';
}


1;
