package Proof;

# The protocol's notation and the outsiders of a draw, for tests of the
# verifier: hashes, notes, an authority that stamps times, a witness, a
# beacon.  It is written from the protocol, and shares nothing with what it
# tests.

use strict;
use warnings;

use Digest::SHA qw(sha256 hmac_sha256);
use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Handle;
use IPC::Open2 qw(open2);
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(encode_base64);

our @EXPORT = qw(
    T lp u32 u64 H Z HMAC leaf root path pick words48 pick48 round_at round_time
    note b64 slurp spew sign_key vkey stamp authority cosign witness
    beacon_chain run_verify command_says page_says verify_program has_blst QUICKNET lines
);

use constant Z => "\0" x 32;

use constant QUICKNET =>
    '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971';

my $dir = tempdir('loyalty-verify-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %signatures;
my %keys;
my $stamps = 0;


sub T { return "nginx-loyalty/1 $_[0]\0" }
sub u32 { return pack 'N', $_[0] }
sub u64 { return pack 'Q>', $_[0] }
sub lp { return u32(length $_[0]) . $_[0] }
sub H { return sha256($_[0]) }
sub HMAC { return hmac_sha256($_[1], $_[0]) }
sub b64 { return encode_base64($_[0], '') }
sub leaf { return sha256("\0" . $_[0]) }


# RFC 6962, by its recursive definition, with roots of whole subtrees kept

sub root {
    my (@leaves) = @_;

    return H('') if !@leaves;

    while (@leaves > 1) {
        my @next;

        while (@leaves > 1) {
            push @next, H("\1" . shift(@leaves) . shift @leaves);
        }

        @leaves = (@next, @leaves);
    }

    return $leaves[0];
}


# the inclusion path of leaf i, by the definition of RFC 6962, 2.1.1

sub path {
    my ($i, @leaves) = @_;

    return () if @leaves < 2;

    my $k = 1;
    $k *= 2 while 2 * $k < @leaves;

    return $i < $k ? (path($i, @leaves[0 .. $k - 1]),
                      root(@leaves[$k .. $#leaves]))
                   : (path($i - $k, @leaves[$k .. $#leaves]),
                      root(@leaves[0 .. $k - 1]));
}


sub pick {
    my ($key, $tag, $p, $n, $a) = @_;

    my $prefix = T($tag) . u32($p);
    my $rest = (~0 % $n + 1) % $n;

    for ($a //= 0; $a < 2 ** 20; $a++) {
        my $x = unpack 'Q>', hmac_sha256($prefix . u32($a), $key);

        return ($x % $n, $a) if $rest == 0 || $x <= ~0 - $rest;
    }

    die "pick: 2^20 attempts\n";
}


sub words48 {
    my ($u) = @_;

    return map { unpack 'Q>', "\0\0" . substr $u, 6 * $_, 6 } 0 .. 4;
}


sub pick48 {
    my ($u, $n) = @_;

    my $bound = int(2 ** 48 / $n) * $n;

    for my $word (words48($u)) {
        return $word % $n if $word < $bound;
    }

    return undef;
}


sub round_at { return int(($_[0] - 1692803367000) / 3000) + 1 }
sub round_time { return 1692803367000 + ($_[0] - 1) * 3000 }


# ---- files ----

sub slurp {
    my ($path) = @_;

    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    my $data = <$file>;
    close $file;

    return $data;
}


sub spew {
    my ($path, $data) = @_;

    open my $file, '>:raw', $path or die "$path: $!";
    print {$file} $data or die "$path: $!";
    close $file or die "$path: $!";

    return $path;
}


sub command {
    my (@command) = @_;

    open my $null, '>', '/dev/null' or die $!;
    open my $old, '>&', \*STDERR or die $!;
    open STDERR, '>&', $null or die $!;
    my $rc = system @command;
    open STDERR, '>&', $old or die $!;

    die "@command: exit $rc\n" if $rc;

    return;
}


# ---- Ed25519 ----

# a private key is its seed; PKCS 8 is a prefix before it

sub key_file {
    my ($seed) = @_;

    my $path = "$dir/" . unpack('H*', $seed) . '.der';

    spew($path, pack('H*', '302e020100300506032b657004220420') . $seed)
        if !-e $path;

    return $path;
}


sub public_key {
    my ($seed) = @_;

    if (!$keys{$seed}) {
        command('openssl', 'pkey', '-inform', 'DER', '-in', key_file($seed),
                '-pubout', '-outform', 'DER', '-out', "$dir/public");
        $keys{$seed} = substr slurp("$dir/public"), -32;
    }

    return $keys{$seed};
}


sub sign {
    my ($seed, $data) = @_;

    my $known = \$signatures{H($seed . $data)};

    if (!$$known) {
        spew("$dir/data", $data);
        command('openssl', 'pkeyutl', '-sign', '-rawin', '-keyform', 'DER',
                '-inkey', key_file($seed), '-in', "$dir/data",
                '-out', "$dir/signature");
        $$known = slurp("$dir/signature");
    }

    return $$known;
}


sub sign_key {
    my ($master, $program) = @_;

    return { name => $program,
             seed => HMAC($master, T('sign-key') . lp($program)) };
}


sub key_id {
    my ($key, $type) = @_;

    return substr H("$key->{name}\n" . chr($type)
                    . public_key($key->{seed})), 0, 4;
}


sub vkey {
    my ($key, $type) = @_;

    $type //= 1;

    return "$key->{name}+" . unpack('H*', key_id($key, $type)) . '+'
           . b64(chr($type) . public_key($key->{seed})) . "\n";
}


sub note {
    my ($key, $kind, $statement) = @_;

    my $text = "nginx-loyalty/1 $kind\n" . b64($statement) . "\n";

    return $text . "\n\xe2\x80\x94 $key->{name} "
           . b64(key_id($key, 1) . sign($key->{seed}, $text)) . "\n";
}


# ---- a witness: C2SP tlog-cosignature ----

sub witness {
    my ($name) = @_;

    return { name => $name, seed => H("witness $name") };
}


sub cosign {
    my ($witness, $kind, $number, $note, $ms) = @_;

    my $time = int($ms / 1000);
    my ($text) = $note =~ /^(.*?\n.*?\n)\n/;

    my $signature = sign($witness->{seed},
                         "cosignature/v1\ntime $time\n$text");

    return "$kind $number $witness->{name} "
           . b64(key_id($witness, 4) . u64($time) . $signature) . "\n";
}


# ---- an authority of RFC 3161 ----

# "openssl ts" can only say what time it is now; a token is made here for any
# time, its signature by "openssl cms"

# what is changed in a stamping certificate: usage, extra, from, until

sub authority {
    my ($name, %o) = @_;

    my $at = "$dir/$name";
    my $usage = $o{usage} // 'critical,timeStamping';
    my $extra = $o{extra} // '';

    return $at if -d $at;

    mkdir $at or die "$at: $!";

    spew("$at/conf", <<"END");
[ca]
default_ca = own
[own]
database = $at/index
new_certs_dir = $at
serial = $at/serial
default_md = sha256
policy = any
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamp]
basicConstraints = CA:false
extendedKeyUsage = $usage
$extra
[req]
distinguished_name = name
[name]
END

    spew("$at/index", '');
    spew("$at/serial", "01\n");

    for my $who ('root', 'stamp') {
        command('openssl', 'ecparam', '-name', 'prime256v1', '-genkey',
                '-noout', '-out', "$at/$who.key");
        command('openssl', 'req', '-new', '-config', "$at/conf",
                '-key', "$at/$who.key", '-subj', "/CN=$name $who",
                '-out', "$at/$who.csr");
        command('openssl', 'ca', '-batch', '-notext', '-config', "$at/conf",
                $who eq 'root' ? '-selfsign'
                               : ('-cert', "$at/root.pem"),
                '-keyfile', "$at/root.key", '-extensions', $who,
                '-startdate', ($who eq 'stamp' && $o{from})
                              || '20200101000000Z',
                '-enddate', ($who eq 'stamp' && $o{until})
                            || '20400101000000Z',
                '-in', "$at/$who.csr",
                '-out', "$at/$who.pem");
    }

    return $at;
}


sub der {
    my ($tag, @parts) = @_;

    my $data = join '', @parts;
    my $n = length $data;

    my $len = $n < 128 ? chr $n
            : $n < 256 ? "\x81" . chr $n : "\x82" . pack 'n', $n;

    return chr($tag) . $len . $data;
}


# the time of a token has whole seconds, like those of most authorities

sub stamp {
    my ($at, $bytes, $ms) = @_;

    my @t = gmtime int($ms / 1000);
    my $time = sprintf '%04d%02d%02d%02d%02d%02dZ', $t[5] + 1900, $t[4] + 1,
                       @t[3, 2, 1, 0];

    my $sha256 = der(0x30, pack('H*', '0609608648016503040201'), "\5\0");

    my $info = der(0x30,
        "\2\1\1",
        pack('H*', '06042a030405'),
        der(0x30, $sha256, der(0x04, H($bytes))),
        der(0x02, "\1" . u32(++$stamps)),
        der(0x18, $time));

    spew("$dir/info", $info);

    command('openssl', 'cms', '-sign', '-binary', '-nodetach', '-cades',
            '-md', 'sha256', '-econtent_type', '1.2.840.113549.1.9.16.1.4',
            '-signer', "$at/stamp.pem", '-inkey', "$at/stamp.key",
            '-outform', 'DER', '-in', "$dir/info", '-out', "$dir/token");

    return slurp("$dir/token");
}


# ---- a beacon of our own ----

sub build { return $ENV{LOYALTY_BUILD} || 'build' }
sub has_blst { return -x build() . '/verify/chain' }


# signatures of the chain with that secret, for any round; where there is no
# blst, 48 bytes that are none

sub beacon_chain {
    my ($secret) = @_;

    my %known;
    my ($in, $out, $key);

    if (has_blst()) {
        open2($out, $in, build() . '/verify/chain', unpack 'H*', H($secret));
        chomp($key = <$out>);

    } else {
        $key = '83' x 96;
    }

    my $hash = unpack 'H*', H("chain $secret");

    return {
        chain => $hash,
        option => "$hash:$key",
        signature => sub {
            my ($round) = @_;

            return $known{$round} if $known{$round};

            if (!$in) {
                return $known{$round} = H("$secret $round")
                                        . substr H("$round $secret"), 0, 16;
            }

            print {$in} "$round\n";
            $in->flush;
            chomp(my $hex = <$out>);

            return $known{$round} = pack 'H*', $hex;
        },
    };
}


# ---- the program under test ----

sub verify_program { return build() . '/loyalty-verify' }


# returns the exit status, and the status of each check; in tests of the page
# its verifier is asked, and both have to say the same

sub run_verify {
    my ($bundle, @options) = @_;

    my $got = command_says(verify_program(), @options, $bundle);

    return $got if !$ENV{LOYALTY_VERIFY_PAGE};

    my $page = page_says(@options, $bundle);

    for my $one ($got, $page) {
        # the order of a directory is nobody's
        $one->{sorted} = join "\n", map { join '; ', sort split /; / }
                         split /\n/, $one->{text};
    }

    $page->{differs} = $got->{text} if $got->{sorted} ne $page->{sorted};

    return $page;
}


sub command_says {
    my (@command) = @_;

    open my $pipe, '-|', @command or die "loyalty-verify: $!";
    my $text = do { local $/; <$pipe> } // '';
    close $pipe;

    return said($text, $? >> 8, $? & 127);
}


sub said {
    my ($text, $status, $signal) = @_;

    my %check = $text =~ /^(V\d\d) (PASS|INCOMPLETE|FAIL) /mg;

    return { status => $status, signal => $signal, text => $text, %check };
}


# one process of node for all of them

my ($page_in, $page_out);

sub page_says {
    my (@arguments) = @_;

    if (!$page_in) {
        open2($page_out, $page_in, 'node', build() . '/verify-node.mjs',
              '--serve');
        END { close $page_in if $page_in }
    }

    print {$page_in} encode_json(\@arguments), "\n";
    $page_in->flush;

    my $answer = <$page_out> // die "verify-node.mjs has died\n";
    my $said = decode_json($answer);

    return said($said->{text}, $said->{status}, 0);
}


sub lines { return join '', map { "$_\n" } @_ }


1;
