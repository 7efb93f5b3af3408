package Loyalty::Cut;

# Stands between nginx and a test's Redis, and cuts the connection once when
# a function is called: "before" it is, or "after", so that it was made and
# nobody is told.
#
#     my $cut = Loyalty::Cut->new($t, 'cut.sock');    # listens in $t's folder
#     $cut->next(before => 'play_draw');
#     $cut->done      whether it was cut

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();

use parent 'Loyalty::Child';


sub new {
    my ($class, $t, $name) = @_;
    my $self = bless { dir => $t->dir, order => $t->dir . '/cut',
                       owner => $$ }, $class;
    my $listen = IO::Socket::UNIX->new(Local => "$self->{dir}/$name",
                                       Listen => 64) or die "$name: $!\n";

    chmod 0777, "$self->{dir}/$name";
    $self->{pid} = fork // die "fork: $!\n";

    if ($self->{pid} == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        eval { $self->_run($listen) };
        warn $@ if $@;
        POSIX::_exit(1);
    }

    return $self;
}


sub next {
    my ($self, $when, $function) = @_;

    open my $fh, '>', "$self->{order}.new" or die "$self->{order}: $!\n";
    print {$fh} "$when ${function}_";
    close $fh;
    rename "$self->{order}.new", $self->{order};

    return;
}


sub done { return !-e $_[0]{order} }


sub _order {
    my ($self) = @_;

    open my $fh, '<', $self->{order} or return '';

    return split / /, scalar(<$fh>) // '';
}


sub _run {
    my ($self, $listen) = @_;
    my $select = IO::Select->new($listen);
    my (%peer, %client, %dead);

    while (1) {
        for my $from ($select->can_read) {

            if ($from == $listen) {
                my $client = $listen->accept or next;
                my $server = IO::Socket::UNIX->new("$self->{dir}/redis.sock")
                    or next;

                @peer{$client, $server} = ($server, $client);
                $client{$client} = 1;
                $select->add($client, $server);
                next;
            }

            my $to = $peer{$from} or next;
            my ($when, $what) = $client{$from} ? $self->_order : ();
            my $n = sysread $from, my $bytes, 65536;
            my $hit = $n && $when && index($bytes, $what) >= 0;

            # Redis makes it, and says so to nobody

            if ($hit && $when eq 'after') {
                syswrite $to, $bytes;
                sysread $to, my $reply, 65536;
            }

            if (!$n || $hit) {
                $select->remove($from, $to);
                delete @peer{$from, $to};
                delete $client{$from};
                unlink $self->{order} if $hit;
                close $_ for $from, $to;
                next;
            }

            syswrite $to, $bytes;
        }
    }
}


1;
