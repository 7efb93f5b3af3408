package Loyalty::Bench::Machine;

# Looks at processes: how long they have had a core, and how long they had
# to wait for one, in seconds.
#
#     my $meter = Loyalty::Bench::Machine->new(front => \@pids, redis => ...);
#     $meter->start;
#     my %used = $meter->stop;   # front => 1.2, front_wait => 0.1, ...
#
# All threads of a process count; one that ends in between is lost.

use strict;
use warnings;


sub new {
    my ($class, %groups) = @_;

    return bless { groups => \%groups }, $class;
}


sub start {
    my ($self) = @_;

    $self->{from} = $self->read;
    return;
}


sub stop {
    my ($self) = @_;
    my ($to, $from) = ($self->read, $self->{from});

    return map { $_ => $to->{$_} - $from->{$_} } keys %$to;
}


sub read {
    my ($self) = @_;
    my %used;

    for my $group (keys %{$self->{groups}}) {
        my ($ran, $waited) = (0, 0);

        for my $pid (@{$self->{groups}{$group}}) {
            for my $file (glob "/proc/$pid/task/*/schedstat") {
                open my $fh, '<', $file or next;
                my ($run, $wait) = split ' ', <$fh> // '0 0';
                $ran += $run / 1e9;
                $waited += $wait / 1e9;
            }
        }

        $used{$group} = $ran;
        $used{"${group}_wait"} = $waited;
    }

    return \%used;
}


# in words
sub describe {
    my ($model, $cores) = ('a processor', 0);

    if (open my $fh, '<', '/proc/cpuinfo') {
        while (<$fh>) {
            $cores++ if /^processor\s*:/;
            $model = $1 if /^model name\s*:\s*(.*\S)/;
        }
    }

    return "$cores cores of $model";
}


1;
