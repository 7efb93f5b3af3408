package Loyalty::FakeDNS;

# A name server for nginx's resolver in tests.
#
#     my $dns = Loyalty::FakeDNS->new($t, { 'redis.example' => ['127.0.0.1'] });
#     ... resolver 127.0.0.1:%%PORT_dns%% ipv6=off valid=1s; ...
#
# A name that is not in the zone does not exist; one whose addresses are undef
# is never answered.
#
#     $dns->questions($name)    how often it was asked for
#     $dns->stop

use strict;
use warnings;

use IO::Handle;
use POSIX ();

use parent 'Loyalty::Child';


sub new {
    my ($class, $t, $zone) = @_;

    my $self = bless { t => $t, owner => $$ }, $class;

    # the socket by which the test holds its port speaks UDP
    $t->port('dns');
    my $sock = $t->{ports}{dns}{lock};

    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        open STDOUT, '>', '/dev/null';
        my $parent = getppid;
        local $SIG{ALRM} = sub {
            POSIX::_exit(0) if getppid != $parent;
            alarm 1;
        };
        alarm 1;

        open my $log, '>', $t->dir . '/dns.log' or die $!;
        $log->autoflush(1);
        _serve($sock, $log, $zone);
        POSIX::_exit(0);
    }

    $self->{pid} = $pid;
    $t->guard($pid);

    return $self;
}


sub questions {
    my ($self, $name) = @_;
    return scalar(() = $self->{t}->read_file('dns.log') =~ /^\Q$name\E$/mg);
}


sub _serve {
    my ($sock, $log, $zone) = @_;

    while (1) {
        my $from = $sock->recv(my $query, 512) // next;
        my ($id) = unpack 'n', $query;
        my ($pos, @labels) = (12);
        while (my $len = unpack 'C', substr $query, $pos, 1) {
            push @labels, substr $query, $pos + 1, $len;
            $pos += 1 + $len;
        }
        my $name = lc join '.', @labels;
        my $question = substr $query, 12, $pos + 5 - 12;
        print {$log} "$name\n";
        next if exists $zone->{$name} && !defined $zone->{$name};

        my $addrs = $zone->{$name} // [];
        $sock->send(pack('n6', $id, @$addrs ? 0x8180 : 0x8183, 1,
                         scalar @$addrs, 0, 0) . $question
                    . join('', map { pack 'n3Nna4', 0xc00c, 1, 1, 1, 4,
                           join '', map { chr } split /\./ } @$addrs),
                    0, $from);
    }

    return;
}


1;
