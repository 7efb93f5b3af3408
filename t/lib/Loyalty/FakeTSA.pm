package Loyalty::FakeTSA;

# An authority of timestamps (RFC 3161), for tests: "openssl ts" answers.
#
#     my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => Loyalty::CA->new);
#     ... timestamp_authority http://127.0.0.1:%%PORT_tsa%%
#         trusted_certificate=CA/ca.crt; ...
#     $tsa->mode('again');
#
# Modes beside those of Loyalty::FakeHTTP:
#     again       the response to the request before, which was another one
#     refuse      a response that grants nothing
#     html        no response
#
#     $tsa->stamp($hash)    a token over 32 bytes, as DER
#     $tsa->requests        how many there were

use strict;
use warnings;

use parent 'Loyalty::FakeHTTP';

use Fcntl qw(LOCK_EX);
use File::Copy qw(copy);


sub new {
    my ($class, $t, $name, %arg) = @_;

    my $ca = $arg{ca};

    $ca->certificate("ts-$name", 'extendedKeyUsage=critical,timeStamping');

    for my $digests ('sha256', 'sha1') {
        _write($ca->dir . "/$name-$digests.cnf", <<"END");
[tsa]
default_tsa = a
[a]
serial = $name.serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = $digests
clock_precision_digits = 3
ordering = no
tsa_name = no
END
    }

    _write($ca->dir . "/$name.serial", "01\n");

    my $self = $class->SUPER::new($t, $name, %arg);

    # there is one before the first
    $self->stamp("\0" x 32);
    copy($ca->dir . '/stamp.res', $ca->dir . "/$name.last") or die $!;

    return $self;
}


sub requests { return scalar $_[0]->lines }


sub stamp {
    my ($self, $hash) = @_;

    my $dir = $self->{ca}->dir;

    $self->{ca}->openssl(qw(ts -query -sha256 -cert -digest),
                         unpack('H*', $hash), '-out', 'stamp.req');
    $self->_reply('sha256', 'stamp.req', 'stamp.res');
    $self->{ca}->openssl(qw(ts -reply -in stamp.res -token_out -out
                            stamp.token));

    return _read("$dir/stamp.token");
}


sub respond {
    my ($self, $head, $body, $mode) = @_;

    return $self->http(400, "POST of application/timestamp-query\n")
        if $head !~ /^POST /
           || $head !~ /^content-type: application\/timestamp-query\r$/mi;

    return $self->http(200, '<html>no</html>') if $mode eq 'html';

    my $dir = $self->{ca}->dir;
    my ($in, $out) = map { "$self->{name}-$$.$_" } qw(req res);
    my $last = "$dir/$self->{name}.last";

    _write("$dir/$in", $body);
    $self->_reply($mode eq 'refuse' ? 'sha1' : 'sha256', $in, $out);

    my $response = _read($mode eq 'again' ? $last : "$dir/$out");
    copy("$dir/$out", $last) or die "$last: $!";

    return $self->http(200, $response, 'application/timestamp-reply');
}


sub _reply {
    my ($self, $digests, $in, $out) = @_;

    my $signer = "ts-$self->{name}";

    # one at a time: the serial number is in a file
    open my $lock, '>', $self->{ca}->dir . "/$self->{name}.lock" or die $!;
    flock $lock, LOCK_EX or die $!;

    $self->{ca}->openssl(qw(ts -reply -config),
        "$self->{name}-$digests.cnf", '-queryfile', $in, '-signer',
        "$signer.crt", '-inkey', "$signer.key", '-out', $out);

    return;
}


sub _write {
    my ($path, $bytes) = @_;

    open my $fh, '>:raw', $path or die "$path: $!";
    print {$fh} $bytes;
    close $fh or die "$path: $!";

    return;
}


sub _read {
    my ($path) = @_;

    open my $fh, '<:raw', $path or die "$path: $!";
    local $/;

    return scalar <$fh>;
}


1;
