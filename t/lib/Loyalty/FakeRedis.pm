package Loyalty::FakeRedis;

# A Redis that misbehaves to order.  It stands between nginx and the private
# Redis of a test: commands are passed on and their replies returned, but for
# those that the script names.
#
#     my $fake = Loyalty::FakeRedis->new($t, [
#         [ qr/^FCALL event_/, DRIBBLE => undef ],
#         [ qr/^FCALL event_/, SEND => "-LOADING later\r\n" ],
#         [ qr/^GET /, PAUSE => 0.5, FORWARD => 1, times => 3 ],
#     ]);
#     ... redis unix:%%TESTDIR%%/fake.sock; ...
#
# A rule is used once, or times => N; the first rule left whose pattern matches
# the command (its arguments joined by spaces) is the one that is used.  A
# rule is a list of steps, done in order:
#     SEND => BYTES      sends them; \0 to \377
#     DRIBBLE => BYTES   one at a time; undef: those of the real reply
#     FORWARD => 1       passes the command on and sends the real reply
#     RUN => 1           passes the command on and forgets the reply
#     PAUSE => SECONDS   and nothing else is done on this connection meanwhile
#     STALL => 1         for ever
#     CLOSE => 1
# A rule without steps swallows the command.
#
# More arguments of new: name => 'fake' (of the socket and of the log),
# port => PORT (TCP instead), upstream => PATH (of another Redis; 0: none,
# then what the script does not name is an error).
#
#     $fake->commands(qr/^FCALL /)   what was received: [connection, args...]
#     $fake->stop

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time sleep);

use parent 'Loyalty::Child';

my $json = JSON::PP->new->latin1->canonical;


sub new {
    my ($class, $t, $script, %arg) = @_;

    my $name = $arg{name} // 'fake';
    my $self = bless {
        t => $t, log => $t->dir . "/$name.log", owner => $$,
        script => [ map { _rule(@$_) } @$script ],
        upstream => $arg{upstream} // $t->dir . '/redis.sock',
    }, $class;

    my $path = $t->dir . "/$name.sock";

    $self->{listen} = defined $arg{port}
        ? IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1',
                                LocalPort => $arg{port}, ReuseAddr => 1)
        : IO::Socket::UNIX->new(Listen => 64, Local => $path,
                                Type => SOCK_STREAM);
    defined $self->{listen} or die "cannot listen for FakeRedis: $!\n";

    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        open $_, '+<', '/dev/null' for *STDIN, *STDOUT;
        eval { $self->_serve };
        print STDERR "FakeRedis: $@" if $@;
        POSIX::_exit($@ ? 1 : 0);
    }

    $self->{pid} = $pid;
    $t->guard($pid);
    close delete $self->{listen};

    return $self;
}


sub commands {
    my ($self, $pattern) = @_;

    open my $fh, '<:raw', $self->{log} or return;

    return grep { !defined $pattern
                  || join(' ', @$_[1 .. $#$_]) =~ $pattern }
           map { $json->decode($_) } <$fh>;
}


# ---- the server ----

sub _rule {
    my ($pattern, @steps) = @_;
    my %rule = (pattern => $pattern, times => 1, steps => []);

    while (my ($what, $value) = splice @steps, 0, 2) {
        if ($what eq 'times') {
            $rule{times} = $value;
        } else {
            push @{$rule{steps}}, [$what, $value];
        }
    }

    return \%rule;
}


sub _serve {
    my ($self) = @_;

    $SIG{PIPE} = 'IGNORE';

    my ($n, %conns) = (0);
    open $self->{out}, '>>:raw', $self->{log} or die "$self->{log}: $!";
    $self->{out}->autoflush(1);

    while (1) {
        my $select = IO::Select->new($self->{listen},
            map { $_->{sock} } grep { $_->{due} <= time } values %conns);
        my ($due) = sort { $a <=> $b }
                    map { $_->{due} } grep { $_->{due} > time } values %conns;
        my $wait = $due // time + 1;
        $wait -= time;

        # a test that was killed could not stop us
        return if getppid != $self->{owner};

        for my $sock ($select->can_read($wait < 0 ? 0 : $wait > 1 ? 1 : $wait)) {
            if ($sock == $self->{listen}) {
                my $new = $sock->accept or next;
                binmode $new;
                $conns{$new} = { sock => $new, n => ++$n, in => '',
                                 due => 0, steps => [] };
                next;
            }

            my $conn = $conns{$sock};
            my $got = sysread $sock, $conn->{in}, 65536, length $conn->{in};
            delete $conns{$sock} if !$got;
        }

        for my $conn (values %conns) {
            $self->_work($conn) or delete $conns{$conn->{sock}};
        }
    }
}


# false: close it
sub _work {
    my ($self, $conn) = @_;

    while ($conn->{due} <= time) {
        if (my $step = shift @{$conn->{steps}}) {
            $self->_step($conn, @$step) or return 0;
            next;
        }

        my $args = _take(\$conn->{in}) or return 1;
        print {$self->{out}} $json->encode([$conn->{n}, @$args]), "\n";

        $conn->{args} = $args;
        $conn->{steps} = [ $self->_steps(join ' ', @$args) ];
    }

    return 1;
}


sub _steps {
    my ($self, $command) = @_;

    for my $rule (@{$self->{script}}) {
        if ($rule->{times} > 0 && $command =~ $rule->{pattern}) {
            $rule->{times}--;
            return map { [@$_] } @{$rule->{steps}};
        }
    }

    return [FORWARD => 1];
}


sub _step {
    my ($self, $conn, $what, $value) = @_;

    if ($what eq 'SEND') {
        return _write($conn->{sock}, $value);

    } elsif ($what eq 'FORWARD' || $what eq 'RUN') {
        my $reply = $self->_forward($conn);
        return 0 if !defined $reply;
        return $what eq 'RUN' || _write($conn->{sock}, $reply);

    } elsif ($what eq 'DRIBBLE') {
        $value //= $self->_forward($conn) // return 0;
        return 1 if $value eq '';

        _write($conn->{sock}, substr $value, 0, 1) or return 0;
        unshift @{$conn->{steps}}, [PAUSE => 0.0003],
                                   [DRIBBLE => substr $value, 1];

    } elsif ($what eq 'PAUSE') {
        $conn->{due} = time + $value;

    } elsif ($what eq 'STALL') {
        $conn->{due} = time + 86400;

    } elsif ($what eq 'CLOSE') {
        return 0;

    } else {
        die "unknown step $what\n";
    }

    return 1;
}


# the real reply, as bytes
sub _forward {
    my ($self, $conn) = @_;

    return "-ERR FakeRedis: not in the script\r\n" if !$self->{upstream};

    $conn->{up} //= IO::Socket::UNIX->new(Type => SOCK_STREAM,
                                          Peer => $self->{upstream})
        // return;
    binmode $conn->{up};

    _write($conn->{up}, join '', '*' . @{$conn->{args}} . "\r\n",
           map { '$' . length($_) . "\r\n$_\r\n" } @{$conn->{args}})
        or return;

    return _reply($conn->{up});
}


# one reply as it comes
sub _reply {
    my ($sock) = @_;

    my $line = '';
    while ($line !~ /\r\n\z/) {
        sysread($sock, $line, 1, length $line) or return;
    }

    if ($line =~ /^\$(\d+)/) {
        my $end = length($line) + $1 + 2;
        while (length $line < $end) {
            sysread($sock, $line, $end - length $line, length $line)
                or return;
        }

    } elsif ($line =~ /^\*(\d+)/) {
        for (1 .. $1) {
            $line .= _reply($sock) // return;
        }
    }

    return $line;
}


# one whole command off the front of what was received
sub _take {
    my ($in) = @_;

    $$in =~ /\A\*(\d+)\r\n/g or return;
    my ($n, $pos, @args) = ($1, pos $$in);

    for (1 .. $n) {
        pos($$in) = $pos;
        $$in =~ /\G\$(\d+)\r\n/g or return;
        my ($len, $start) = ($1, pos $$in);
        return if length $$in < $start + $len + 2;
        push @args, substr $$in, $start, $len;
        $pos = $start + $len + 2;
    }

    substr($$in, 0, $pos) = '';

    return \@args;
}


sub _write {
    my ($sock, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $sock, $bytes;
        return 0 if !defined $n;
        substr($bytes, 0, $n) = '';
    }

    return 1;
}


1;
