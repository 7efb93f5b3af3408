package Loyalty::Games;

# Events in, effects out as short text, so that a test reads like a story.
#
#     my $shop = Loyalty::Games->new(program => '...');   # as Loyalty::Test's
#     is($shop->send(visit => at => '2026-03-02T10:00:00Z'),
#        'daily 1/1 2026-03-02');
#
# An effect is told as
#     +10 points (challenge coffee) =10     points, reason, balance
#     coffee 2/5 [2026-W11]                 challenge, its instance
#     coffee 5/5 done [2026-W11]
#     daily 3/4 2026-03-02 broken 4 frozen 1    streak: length/best
#     tier bronze>silver                    "-" for none
#     badge regular; badge regular taken back
#     reward coffee CODE; reward coffee sold out
# joined by "; ".  Anything but 200 is told as status and code.

use strict;
use warnings;

use Loyalty::Test;

my $number = 0;


sub new {
    my ($class, %arg) = @_;

    return bless { t => Loyalty::Test->new(%arg), member => 'm' }, $class;
}


sub t { return $_[0]{t} }


# the member that events without one are about
sub member {
    my ($self, $member) = @_;

    $self->{member} = $member if defined $member;
    return $self->{member};
}


# the id of the latest event sent
sub last_id { return $_[0]{last} }


sub post {
    my ($self, $type, %event) = @_;

    $event{id} //= 'e' . ++$number;
    $event{member} //= $self->{member};
    $self->{last} = $event{id};

    return $self->t->event({ type => $type, %event });
}


sub send {
    my ($self, $type, %event) = @_;

    return told($self->post($type, %event));
}


sub reverse {
    my ($self, $id, %what) = @_;

    return told($self->t->reversal($id, {
        id => 'r' . ++$number, member => $self->{member}, %what }));
}


# one entry of a list of GET me, by its name; all of them without
sub me {
    my ($self, $list, $name) = @_;
    my $entries = $self->t->me($self->{member})->json->{$list};

    return $entries if !defined $name;
    return (grep { $_->{name} eq $name } @$entries)[0];
}


sub balance {
    my ($self, $wallet) = @_;

    return $self->t->me($self->{member})
                ->json->{wallets}{$wallet // 'points'}{balance};
}


sub told {
    my ($response) = @_;

    if ($response->status != 200) {
        return $response->status . ' ' . ($response->code // '');
    }

    return join '; ', map { told_effect($_) } @{$response->json->{effects}};
}


sub told_effect {
    my ($e) = @_;

    if ($e->{type} eq 'points') {
        return sprintf '%+d %s (%s) =%d', @$e{qw(amount wallet reason balance)};
    }

    if ($e->{type} eq 'challenge') {
        return "$e->{name} $e->{progress}/$e->{goal}"
               . ($e->{completed} ? ' done' : '')
               . (defined $e->{instance} ? " [$e->{instance}]" : '');
    }

    if ($e->{type} eq 'streak') {
        return "$e->{name} $e->{length}/$e->{best} $e->{period}"
               . join '', map { exists $e->{$_} ? " $_ $e->{$_}" : '' }
                          qw(broken frozen);
    }

    if ($e->{type} eq 'tier') {
        return 'tier ' . join '>', map { $_ // '-' } @$e{qw(from to)};
    }

    if ($e->{type} eq 'reward') {
        return "reward $e->{name}" . (defined $e->{code} ? " $e->{code}" : '')
               . ($e->{sold_out} ? ' sold out' : '');
    }

    if ($e->{type} eq 'badge') {
        return "badge $e->{name}" . ($e->{taken_back} ? ' taken back' : '');
    }

    return $e->{type};
}


1;
