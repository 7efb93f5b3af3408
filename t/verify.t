#!/usr/bin/perl

# A campaign that lies in Redis, published by loyalty_proof, downloaded by a
# stranger: loyalty-verify says PASS, and every byte is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../tests/verify";

use Loyalty::Fair;
use Loyalty::MsgPack;
use Loyalty::Test;
use Test::More;

use Proof ();
use Samples;

my $t = Loyalty::Test->new(
    files => { secret => 'main:'
               . unpack('H*', Proof::H('test master secret')) . "\n" },
    program => "secret_file %%TESTDIR%%/secret; wallet points;\n",
    server => 'location /fair/ { loyalty_proof shop; }',
);

my $redis = $t->redis;
my $pass = Proof::has_blst() ? 'PASS' : 'INCOMPLETE';


# files as the module keeps them: strings, and records in chunks of 4,096

sub publish {
    my ($made) = @_;

    my %files = %{ $made->{files} };
    my $cid = unpack 'H*', $made->{cid};
    my $tag = "{shop:g:$made->{game}:$cid}";
    my $chunk = $files{entries} ? 'e' : 'l';
    my $size = $chunk eq 'e' ? 132 : 189;
    my $records = delete($files{entries}) // delete $files{log};

    $redis->call('SET', "$tag:s", join '', map { Loyalty::MsgPack::encode($_) }
                 1, length($records) / $size, 0, 1, 0);
    $redis->call('SET', "$tag:$chunk:0", $records);

    for my $name (grep { $_ ne 'vkey' } keys %files) {
        $redis->call('SET', "$tag:f:$name", $files{$name});
    }

    return $cid;
}


for my $made (raffle(), fresh(), wheel(), scratch(), calendar()) {
    my $game = $made->{game};
    my $cid = publish($made);
    my $dir = download($t, $game, $cid);

    my @same = grep { Loyalty::Fair::content("$dir/$_")
                      eq $made->{files}{$_} } keys %{ $made->{files} };

    is_deeply([sort @same], [sort keys %{ $made->{files} }],
              "$game: every file, the key among them");

    my $got = verify($dir, options($made, $dir));

    like($got->{verdict}, qr/^$pass/, "$game: $pass") or diag($got->{text});
    is($got->{V10}, 'PASS', "$game: a check by its name");

    # the operator awards one more than there was

    $redis->call('SETRANGE', "{shop:g:$game:$cid}:"
                 . ($made->{files}{entries} ? 'e' : 'l') . ':0', 60, "\1");

    $dir = download($t, $game, $cid);
    is(verify($dir, options($made, $dir))->{status}, 1,
       "$game: a byte that has changed since");
}

eval { download($t, 'spring', '0' x 32, from => '/nowhere') };
like($@, qr/there is no vkey at/, 'nothing there');

$t->check;
done_testing();
