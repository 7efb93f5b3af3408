package Loyalty::CA;

# Certificates for a test, in a directory that goes when the test ends.
#
#     my $ca = Loyalty::CA->new;              authority "ca", NAME.crt, NAME.key
#     $ca->authority('stranger');
#     $ca->certificate('server', 'subjectAltName=DNS:a.example,IP:127.0.0.1');
#     $ca->openssl(qw(ts -query ...));        in that directory
#     $ca->dir

use strict;
use warnings;

use File::Temp qw(tempdir);
use POSIX ();


sub new {
    my ($class) = @_;

    my $self = bless { dir => tempdir(CLEANUP => 1) }, $class;

    chmod 0755, $self->{dir};
    $self->authority('ca');

    return $self;
}


sub dir { return $_[0]{dir} }


sub openssl {
    my ($self, @args) = @_;

    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        chdir $self->{dir} or POSIX::_exit(127);
        open STDOUT, '>', 'openssl.log';
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec 'openssl', @args; }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;
    die "openssl @args failed, see $self->{dir}/openssl.log\n" if $?;

    return;
}


sub authority {
    my ($self, $name) = @_;

    $self->openssl(qw(req -x509 -newkey ec -pkeyopt
        ec_paramgen_curve:P-256 -nodes -days 30 -subj), "/CN=$name",
        '-keyout', "$name.key", '-out', "$name.crt");

    return;
}


sub certificate {
    my ($self, $name, @extensions) = @_;

    $self->openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
        -subj), "/CN=$name", '-keyout', "$name.key", '-out', "$name.csr");

    open my $fh, '>', "$self->{dir}/$name.ext" or die "$name.ext: $!";
    print {$fh} map { "$_\n" } @extensions;
    close $fh or die "$name.ext: $!";

    $self->openssl(qw(x509 -req -days 30 -CAcreateserial -CA ca.crt -CAkey
        ca.key -in), "$name.csr", '-extfile', "$name.ext", '-out',
        "$name.crt");

    return;
}


1;
