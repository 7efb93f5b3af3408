package Loyalty::FastCGI;

# A FastCGI responder for tests: it says what it is told to in the query.
#
#     my $fcgi = Loyalty::FastCGI->new($t);     # at %%TESTDIR%%/fastcgi.sock
#     ... fastcgi_pass unix:%%TESTDIR%%/fastcgi.sock;
#         fastcgi_param QUERY_STRING $args; ...
#
# Each argument of the query whose name begins with X- is a header of the
# answer; status= is its status.

use strict;
use warnings;

use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);

use parent 'Loyalty::Child';

use constant { T_END => 3, T_PARAMS => 4, T_STDIN => 5, T_STDOUT => 6 };


sub new {
    my ($class, $t) = @_;

    my $listen = IO::Socket::UNIX->new(Listen => 64, Type => SOCK_STREAM,
        Local => $t->dir . '/fastcgi.sock') or die "fastcgi.sock: $!\n";

    my $owner = $$;
    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{ALRM} = sub { POSIX::_exit(0) if getppid != $owner; alarm 1 };
        alarm 1;
        open $_, '+<', '/dev/null' for *STDIN, *STDOUT;

        while (1) {
            my $sock = $listen->accept or next;
            _answer($sock);
            close $sock;
        }
    }

    $t->guard($pid);
    close $listen;

    return bless { pid => $pid, t => $t, owner => $owner }, $class;
}


sub _answer {
    my ($sock) = @_;
    my $params = '';

    while (1) {
        my (undef, $type, $id, $length, $padding)
            = unpack 'CCnnC', _read($sock, 8) // return;
        my $content = _read($sock, $length) // return;
        _read($sock, $padding) // return;

        $params .= $content if $type == T_PARAMS;
        last if $type == T_STDIN && $length == 0;
    }

    my %params;

    while (length $params) {
        my ($name, $value) = map {
            my ($n) = unpack 'C', $params;
            if ($n & 0x80) {
                $n = unpack('N', substr $params, 0, 4, '') & 0x7fffffff;
            } else {
                substr $params, 0, 1, '';
            }
            $n;
        } 1, 2;

        $name = substr $params, 0, $name, '';
        $params{$name} = substr $params, 0, $value, '';
    }

    my %args = map { split /=/, $_, 2 } split /&/, $params{QUERY_STRING} // '';

    my $answer = 'Status: ' . ($args{status} // 200) . "\r\n"
        . "Content-Type: text/plain\r\n"
        . join('', map { "$_: $args{$_}\r\n" } grep { /^X-/ } sort keys %args)
        . "\r\nfast\n";

    print {$sock} _record(T_STDOUT, $answer) . _record(T_STDOUT, '')
                  . _record(T_END, "\0" x 8);
    $sock->flush;

    return;
}


sub _record {
    my ($type, $content) = @_;

    return pack('CCnnCC', 1, $type, 1, length $content, 0, 0) . $content;
}


sub _read {
    my ($sock, $n) = @_;
    my $bytes = '';

    while (length $bytes < $n) {
        sysread($sock, $bytes, $n - length $bytes, length $bytes) or return;
    }

    return $bytes;
}


1;
