package Loyalty::Bench::Recorder;

# A unix socket in front of Redis that passes everything on and keeps what
# the client said, for one connection.
#
#     my $recorder = Loyalty::Bench::Recorder->new($listen, $redis, $file);
#     ... a client talks to $listen ...
#     my $bytes = $recorder->stop;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);


sub new {
    my ($class, $listen, $redis, $file) = @_;

    my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Listen => 8,
        Local => $listen) or die "$listen: $!\n";

    my $pid = fork;
    defined $pid or die "fork: $!\n";

    if ($pid == 0) {
        eval { _serve($server, $redis, $file) };
        print STDERR "recorder: $@" if $@;
        POSIX::_exit(0);
    }

    return bless { pid => $pid, file => $file }, $class;
}


sub stop {
    my ($self) = @_;

    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;

    open my $fh, '<:raw', $self->{file} or die "$self->{file}: $!\n";
    local $/;
    my $bytes = <$fh>;
    unlink $self->{file};

    return $bytes // '';
}


# several connections may come, but only one is meant to carry commands at
# a time
sub _serve {
    my ($server, $redis, $file) = @_;
    my $select = IO::Select->new($server);
    my (%peer, %client);

    local $SIG{PIPE} = 'IGNORE';
    open my $log, '>:raw', $file or die "$file: $!\n";
    $log->autoflush(1);

    while (my @ready = $select->can_read) {
        for my $sock (@ready) {
            if ($sock == $server) {
                my $down = $server->accept or next;
                my $up = IO::Socket::UNIX->new(Type => SOCK_STREAM,
                    Peer => $redis) or die "$redis: $!\n";

                @peer{$down, $up} = ($up, $down);
                $client{$down} = 1;
                $select->add($down, $up);
                next;
            }

            my $peer = $peer{$sock};

            if (!sysread $sock, my $bytes, 1 << 16) {
                $select->remove($sock, $peer);
                close $_ for $sock, $peer;

            } else {
                print {$log} $bytes if $client{$sock};
                $peer->blocking(1);
                my $at = 0;
                $at += syswrite($peer, $bytes, length($bytes) - $at, $at)
                       // die "write: $!\n" while $at < length $bytes;
            }
        }
    }

    return;
}


1;
