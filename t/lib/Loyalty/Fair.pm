package Loyalty::Fair;

# What a stranger does with a draw: downloads a campaign's files and asks
# loyalty-verify about them.
#
#     my $dir = download($t, 'spring', $cid);
#     my $got = verify($dir, '--receipt', $file);
#     $got->{status}           0 PASS, 1 FAIL, 2 INCOMPLETE
#     $got->{verdict}          the last line
#     $got->{V04}              PASS, FAIL or INCOMPLETE
#     $got->{text}             all it said
#
# The files are those of now: of a campaign that goes on some are of a moment
# later than others.

use strict;
use warnings;

use Exporter qw(import);
use File::Path qw(make_path);

our @EXPORT = qw(download verify);

# heads before the log: one that is newer would be of records that are not
# there yet; and so on

my @names = qw(manifest heads close picks log entries dq timestamps
               cosignatures beacons reveal evidence);


# into a directory of its own below the test's; "from" is the location

sub download {
    my ($t, $game, $cid, %opt) = @_;

    my $from = $opt{from} // '/fair';
    my $dir = $t->dir . "/fair-$game-" . ++$t->{downloads};

    make_path($dir);
    fetch($t, "$from/vkey", "$dir/vkey")
        or die "there is no vkey at $from\n";

    fetch($t, "$from/$game/$cid/$_", "$dir/$_") for @names;

    my $versions = () = content("$dir/manifest") =~ m{^nginx-loyalty/1 }mg;

    for my $n (1 .. $versions) {
        for my $kind (qw(terms prizes rules)) {
            fetch($t, "$from/$game/$cid/$kind-$n", "$dir/$kind-$n");
        }
    }

    return $dir;
}


sub content {
    my ($path) = @_;

    open my $file, '<:raw', $path or return '';
    local $/;

    return scalar <$file>;
}


# 404 is no file, which is no error

sub fetch {
    my ($t, $uri, $path) = @_;

    my $reply = $t->get($uri, timeout => 60);

    return if $reply->status == 404;

    $reply->status == 200 or die "$uri: status " . $reply->status . "\n";

    open my $file, '>:raw', $path or die "$path: $!";
    print {$file} $reply->body or die "$path: $!";
    close $file or die "$path: $!";

    return 1;
}


sub verify {
    my ($dir, @options) = @_;

    my $program = ($ENV{LOYALTY_BUILD} || 'build') . '/loyalty-verify';

    open my $pipe, '-|', $program, @options, $dir or die "$program: $!";

    my @lines = <$pipe>;
    close $pipe;

    my %got = map { /^(V\d\d) (\w+)/ ? ($1 => $2) : () } @lines;

    chomp($got{verdict} = $lines[-1] // '');
    @got{qw(status text)} = ($? >> 8, join '', @lines);

    die "$program died of signal " . ($? & 127) . "\n" if $? & 127;

    return \%got;
}


1;
