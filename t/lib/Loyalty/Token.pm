package Loyalty::Token;

# Makes JSON Web Tokens, good ones and bad ones, with the openssl command.
#
#     my $key = Loyalty::Token::key('ES256');     # or RS256, EdDSA: makes one
#     my $token = Loyalty::Token::make($key, { sub => 'ada' });
#     my $token = Loyalty::Token::make('secret', { ... }, { kid => 'a' });
#
# A key is { alg, private (PEM), public (PEM) }, a secret is a string.  exp
# is in a minute unless the claims have one (undef: none); claims and header
# may be text as well, and are then taken as it is.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use File::Temp qw(tempdir);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64);

my $json = JSON::PP->new->utf8->canonical;
my $dir = tempdir(CLEANUP => 1);

my %kind = (
    RS256 => '-algorithm RSA -pkeyopt rsa_keygen_bits:2048',
    ES256 => '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
    EdDSA => '-algorithm ED25519',
);


sub key {
    my ($alg) = @_;

    my $private = `openssl genpkey $kind{$alg} 2>/dev/null`;
    die "openssl makes no key\n" if $private !~ /BEGIN/;
    my $public = _run('openssl pkey -pubout', $private);

    return { alg => $alg, private => $private, public => $public };
}


# the key's own part of a key set
sub jwk {
    my ($key) = @_;

    return { kty => 'oct', k => encode_base64url($key) } if !ref $key;

    my ($text) = $key->{public} =~ /-\n(.*)-----END/s;
    my $der = decode_base64($text);

    if ($key->{alg} eq 'EdDSA') {
        return { kty => 'OKP', crv => 'Ed25519',
                 x => encode_base64url(substr $der, -32) };
    }

    if ($key->{alg} eq 'ES256') {
        return { kty => 'EC', crv => 'P-256',
                 x => encode_base64url(substr $der, -64, 32),
                 y => encode_base64url(substr $der, -32) };
    }

    # 2048 bits and 65537
    return { kty => 'RSA', e => 'AQAB',
             n => encode_base64url(substr $der, -261, 256) };
}


sub make {
    my ($key, $claims, $header) = @_;

    if (ref $claims) {
        my %claims = (exp => time + 60, %$claims);
        delete $claims{exp} if !defined $claims{exp};
        $claims = $json->encode(\%claims);
    }

    $header = $json->encode({ alg => ref $key ? $key->{alg} : 'HS256',
                              %{$header // {}} }) if ref($header // {});

    return sign($key, encode_base64url($header) . '.'
                      . encode_base64url($claims));
}


sub sign {
    my ($key, $text) = @_;
    my $sig;

    if (!ref $key) {
        $sig = hmac_sha256($text, $key);

    } elsif ($key->{alg} eq 'EdDSA') {
        _write("$dir/key", $key->{private});
        _write("$dir/text", $text);
        $sig = `openssl pkeyutl -sign -rawin -inkey $dir/key -in $dir/text`;

    } else {
        _write("$dir/key", $key->{private});
        $sig = _run("openssl dgst -sha256 -sign $dir/key", $text);
    }

    if (ref $key && $key->{alg} eq 'ES256') {

        # two numbers of any length, of 32 bytes each
        my ($r, $s) = $sig =~ /\A\x30.\x02(.)/s
            ? (substr($sig, 4, ord $1), substr $sig, 6 + ord $1) : ();
        $sig = join '', map { substr "\0" x 32 . $_, -32 } $r, $s;
    }

    return "$text." . encode_base64url($sig);
}


sub _run {
    my ($command, $input) = @_;

    _write("$dir/in", $input);
    return scalar `$command < $dir/in`;
}


sub _write {
    my ($file, $bytes) = @_;

    open my $fh, '>:raw', $file or die "$file: $!";
    print {$fh} $bytes;
    close $fh or die "$file: $!";

    return;
}


1;
