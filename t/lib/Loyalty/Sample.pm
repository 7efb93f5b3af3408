package Loyalty::Sample;

# The samples of conf/, as they are shipped: only their ports, the path of the
# module, that of Redis and the times of draws are other ones.
#
#     my $text = Loyalty::Sample::conf('shop');         # a conf for new()
#     my $backend = Loyalty::Sample::backend($t);       # of conf/shop
#     $backend->stop;
#     my ($status, $json) = Loyalty::Sample::call(@arguments);
#                                                       # bin/loyalty-call

use strict;
use warnings;

use Cwd qw(realpath);
use File::Basename qw(dirname);
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();

my $root = realpath(dirname(__FILE__) . '/../../..');


sub conf {
    my ($name) = @_;

    open my $fh, '<', "$root/conf/$name.conf" or die "$name.conf: $!\n";
    my $text = do { local $/; <$fh> };

    my %port = (8080 => '', 8081 => '_private', 8082 => '_backend');

    $text =~ s/^load_module .*/load_module %%MODULE%%;/m or die 'no module';
    $text =~ s/127\.0\.0\.1:(808[0-2])/127.0.0.1:%%PORT$port{$1}%%/g;
    $text =~ s/unix:redis\.sock/unix:%%REDIS%%/ or die 'no Redis';
    $text =~ s/OPEN;/2026-11-01T00:00:00Z;/g;
    $text =~ s/(?:SOON|CLOSE);/2027-11-01T00:00:00Z;/g;

    return ($> == 0 ? "user root;\n" : '') . $text;
}


sub backend {
    my ($t) = @_;
    my $port = $t->port('backend');

    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $t->dir . '/backend.log';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec $^X, "$root/conf/shop/backend.pl", $port; }
        POSIX::_exit(127);
    }

    $t->guard($pid);
    $t->wait_for(sub { defined IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$port") }) or die "no backend\n";

    return bless { t => $t, pid => $pid }, __PACKAGE__;
}


sub stop {
    my ($self) = @_;

    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{t}->unguard($self->{pid});

    return;
}


sub call {
    my (@arguments) = @_;

    # what curl says of an answer that is an error is of no interest
    open my $out, '-|', 'sh', '-c', 'exec "$@" 2>/dev/null', 'sh',
        "$root/bin/loyalty-call", @arguments or die "loyalty-call: $!\n";
    my $text = do { local $/; <$out> };
    close $out;

    return ($? >> 8, eval { JSON::PP->new->utf8->decode($text) });
}


1;
