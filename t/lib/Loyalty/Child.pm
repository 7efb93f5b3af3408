package Loyalty::Child;

# A process that a test has forked, and that ends with the test: { pid } and
# { owner }, who forked it, of servers that play a part; { t } where the test
# guards it.  With { group } its children end, too, and at once.

use strict;
use warnings;


sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid} // return;

    if ($self->{group}) {
        kill 'KILL', -$pid, $pid;
    } else {
        kill 'TERM', $pid;
    }

    waitpid $pid, 0;
    $self->{t}->unguard($pid) if defined $self->{t};

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);
    $self->stop if $self->{owner} == $$;
    return;
}


1;
