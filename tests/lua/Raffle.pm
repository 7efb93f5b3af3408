package Raffle;

# A sweepstakes in a private Redis, called as nginx does: what is entered,
# closed and drawn, with the persons and commitments of the draw protocol.
#
#     my $s = Raffle->new(open => $ms, close => $ms, limits => [unit, most..],
#                         price => 50, eligible => [...]);
#     $s->at($ms, $off)                  the clocks of nginx and Redis
#     $s->enter('member', tickets => 2, key => 'k', method => 1)
#     $s->game->{tickets}  $s->file      state, and the published entries
#     $s->target('member', id => 'event-1'); $s->game_keys
#
# With LOYALTY_SPLIT in the environment an entry is made in three steps.

use strict;
use warnings;

use Engine;
use Loyalty::Fairness;

our $MASTER = H('test master secret');
our $SALT = substr H('test campaign salt'), 0, 16;


sub new {
    my ($class, %o) = @_;

    my $self = bless {
        open => 1736266200000, close => 1736352600000, limits => [],
        price => 0, eligible => [], chunk => 0, n => 0, generation => 1,
        name => 'spring', hash => 'SPRG', %o,
    }, $class;

    $self->{e} //= Engine->new(clock => $self->{open},
                               %{ $o{engine} // {} });
    $self->{cid} = cid('shop', $self->{name}, $self->{open});
    $self->{kp} = kp($MASTER, $self->{cid}, $SALT);
    $self->{tag} = "{shop:g:$self->{name}:" . unpack('H*', $self->{cid})
                   . '}';
    $self->set_game if !$o{unset};

    return $self;
}


sub engine { return $_[0]{e} }

sub key { my ($self, $what) = @_; return "$self->{tag}:$what" }


# the state as campaign_@H@ leaves it, or another one

sub set_game {
    my ($self, %g) = @_;

    $self->{e}->raw('SET', $self->key('s'), Engine::values_of(
        1, $g{seq} // 0, $g{paused} // 0, $self->{generation}, 0,
        $g{phase} // 0, $g{tickets} // 0, $g{voided} // 0));
}


sub game {
    my ($self) = @_;
    my $raw = $self->{e}->raw('GET', $self->key('s')) // return;
    my %g;

    @g{qw(format seq paused generation over phase tickets voided)} =
        map { Engine::decode(\$raw) } 1 .. 8;

    return \%g;
}


sub file {
    my ($self) = @_;
    my $bytes = '';

    for (my $n = 0; ; $n++) {
        my $chunk = $self->{e}->raw('GET', $self->key("e:$n"));
        return $bytes if !defined $chunk;
        $bytes .= $chunk;
    }
}


sub at { my ($self, @ms) = @_; $self->{e}->clock(@ms) }


sub rule {
    my ($self) = @_;

    return [5, \$self->{hash}, $self->{open}, $self->{close},
            \(T('entry') . $self->{cid}),
            [$self->{price} ? 1 : 0, \'WPTS', $self->{price}],
            $self->{limits}, $self->{eligible}];
}


sub game_keys {
    my ($self) = @_;

    return ($self->key('s'), (map { $self->key("e:$_") }
            $self->{chunk}, $self->{chunk} + 1), $self->key('gone'));
}


# index: of the target's first key

sub target {
    my ($self, $member, %o) = @_;
    my $salt = $o{salt} // substr H("salt $member $o{id}"), 0, 16;
    my $day = int($self->{e}{now} / 86400e3);

    return [\$self->{hash}, $o{index} // 5, Engine::blob($self->rule),
            \person($self->{kp}, $self->{cid}, $member),
            \entry_commit($salt, $member, $o{id}), \$salt, $self->{chunk},
            [$day, int(($day + 3) / 7), int($day / 31)],
            $o{generation} // $self->{generation}, $o{may} // 1];
}


sub enter {
    my ($self, $member, %o) = @_;
    my $e = $self->{e};
    my $key = $o{key} // 'key ' . $self->{n}++;
    my $needle = chr(17) . "\2" . substr H("$member $key"), 0, 16;

    return Engine::parse($self->_in_steps($member, $key, $needle, %o))
        if $ENV{LOYALTY_SPLIT};

    return $e->fcall('enter', $member, [
        $e->{now}, \$needle, $e->rest($e->{now}, $o{fp} // ''), \"$member",
        $e->constants, $self->target($member, id => $key, %o),
        $o{tickets} // 1, $o{method} // 1, \$key,
    ], $self->game_keys);
}


sub _in_steps {
    my ($self, $member, $key, $needle, %o) = @_;
    my $e = $self->{e};
    my $target = $self->target($member, id => $key, index => 1, %o);
    my @member = $e->keys_of($member);
    my ($tag) = $member[0] =~ /^(\{.*?\})/;
    my ($now, $open) = ($e->{now}, "$tag:o:$self->{name}");
    my @begin = ($now, \$needle, $e->rest($now, $o{fp} // ''), \"$member",
                 $e->constants);
    my @what = ($o{tickets} // 1, $o{method} // 1);

    my $reply = $e->call('enter_reserve',
        [@member, $open, $self->key('gone')],
        [@begin, @$target[2, 3], @what, $target->[5], \$key, $target->[7]]);

    return $reply if $reply !~ /^N/;

    my $drawn = $e->call('enter_draw',
        [($self->game_keys)[0 .. 2], $self->key('d')],
        [$now, \substr($needle, 2), \'', $target, @what]);

    # what is not final is asked again, and here given up

    my $settled = $e->call('enter_settle', [@member, $open],
        [@begin, \$self->{hash}, $now,
         \($drawn =~ /^P/ ? substr $drawn, 1 : ''), $target->[7]]);

    return $settled =~ /^C/ ? $drawn : $settled;
}


sub state { my ($self, $member) = @_;
            return $self->{e}->state($member)->{states}{$self->{hash}} }


1;
